"""Versions, query strings, JSON bodies: read as Docker reads them, with its sentences (observed on dockerd 26.1)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.api.create import CreateBody, ExecBody
from scow.errors import InvalidArgument
from scow.server.docker import body, json_syntax, query, version

# ---------------------------------------------------------------- versions


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/info", ((1, 45), "/info")),
        ("/v1.24/info", ((1, 24), "/info")),
        ("/v1.45/containers/x/json", ((1, 45), "/containers/x/json")),
        ("/v1.045/version", ((1, 45), "/version")),
        ("/version", ((1, 45), "/version")),
        ("/volumes", ((1, 45), "/volumes")),
        ("/vx/info", ((1, 45), "/vx/info")),
        ("/v1.45x/info", ((1, 45), "/v1.45x/info")),
        ("/v1.44", ((1, 44), "/")),
        ("/v", ((1, 45), "/v")),
    ],
)
def test_version_prefix(path: str, wanted: Any) -> None:
    assert version.split(path) == wanted


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/v1.99/info", "client version 1.99 is too new. Maximum supported API version is 1.45"),
        ("/v2/info", "client version 2 is too new. Maximum supported API version is 1.45"),
        ("/v1.46/_ping", "client version 1.46 is too new. Maximum supported API version is 1.45"),
        (
            "/v1.23/_ping",
            "client version 1.23 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
    ],
)
def test_other_versions_are_refused(path: str, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        version.split(path)
    assert caught.value.message == sentence


# ---------------------------------------------------------------- query strings


@pytest.mark.parametrize("text", ["1", "true", "True", "TRUE", "x", "yes", " 1 ", "2"])
def test_true(text: str) -> None:
    assert query.boolean(text)


@pytest.mark.parametrize("text", ["", "0", "no", "No", "false", "False", "none", " "])
def test_false(text: str) -> None:
    assert not query.boolean(text)


def test_query_strings() -> None:
    wanted = {"a": ["1", "x y+z"], "ä": ["%"], "flag": [""]}
    assert query.parse("a=1&a=x+y%2Bz&%c3%a4=%25&flag&&") == wanted


@pytest.mark.parametrize(("text", "shown"), [("%zz", "%zz"), ("a%2", "%2"), ("%", "%")])
def test_bad_escapes(text: str, shown: str) -> None:
    with pytest.raises(InvalidArgument, match=f'invalid URL escape "{shown}"'):
        query.decode(text)


@given(st.text())
def test_any_text_survives_encoding(text: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass") if True)
    decoded = query.decode(encoded)
    assert decoded == text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["", "x", "1x", "0x1", "1.0", " 1", "--1", "¹", "1_0"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        query.integer(text)
    assert caught.value.message == f'strconv.Atoi: parsing "{text}": invalid syntax'


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "1" * 5000])
def test_numbers_out_of_range(text: str) -> None:
    with pytest.raises(InvalidArgument, match="value out of range"):
        query.integer(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("", 0), ("0", 0), ("1", 10**9), ("1.5", 1_500_000_000), ("1.000000001", 1_000_000_001), ("-1", -(10**9)),
        ("1.123456789999", 1_123_456_789), ("1.", 10**9),
    ],
)  # fmt: skip
def test_moments(text: str, ns: int) -> None:
    assert query.moment(text) == ns


def test_a_moment_that_is_none() -> None:
    with pytest.raises(InvalidArgument) as caught:
        query.moment("2099-01-01T00:00:00Z")
    assert caught.value.message == 'strconv.ParseInt: parsing "2099-01-01T00:00:00Z": invalid syntax'


# ---------------------------------------------------------------- JSON: Go's sentences

GO = {
    b'{"Image":': "unexpected EOF",
    b'{"a" 1}': "invalid character '1' after object key",
    b'{"a":1 "b"}': "invalid character '\"' after object key:value pair",
    b"[1 2]": "invalid character '2' after array element",
    b'"abc': "unexpected EOF",
    b'{"a":"\x01"}': "invalid character '\\x01' in string literal",
    b'{"a":"\\q"}': "invalid character 'q' in string escape code",
    b'{"a":"\\u12g"}': "invalid character 'g' in \\u hexadecimal character escape",
    b'{"a":01}': "invalid character '1' after object key:value pair",
    b'{"a":-x}': "invalid character 'x' in numeric literal",
    b'{"a":1.x}': "invalid character 'x' after decimal point in numeric literal",
    b'{"a":1ex}': "invalid character 'x' in exponent of numeric literal",
    b'{"a":tru}': "invalid character '}' in literal true (expecting 'e')",
    b'{"a":nul}': "invalid character '}' in literal null (expecting 'l')",
    b'{"a":falsy}': "invalid character 'y' in literal false (expecting 'e')",
    b"x": "invalid character 'x' looking for beginning of value",
    b'{"a":1,}': "invalid character '}' looking for beginning of object key string",
    b"[1,]": "invalid character ']' looking for beginning of value",
    b"{,}": "invalid character ',' looking for beginning of object key string",
    b"{bad": "invalid character 'b' looking for beginning of object key string",
    b"   ": "got EOF while reading request body",
    b'{"a":\xc3\xa9}': "invalid character 'Ã' looking for beginning of value",
    b'{"a":1': "unexpected EOF",
    b'{"a"': "unexpected EOF",
    b"{": "unexpected EOF",
    b"[": "unexpected EOF",
    b'"\\': "unexpected EOF",
    b'{"a":tr': "unexpected EOF",
    b"{\"a\":'x'}": "invalid character '\\'' looking for beginning of value",
    b'{"a":-}': "invalid character '}' in numeric literal",
    b'{"a":1.}': "invalid character '}' after decimal point in numeric literal",
}


@pytest.mark.parametrize("text", GO)
def test_syntax_errors_are_told_as_go_tells_them(text: bytes) -> None:
    with pytest.raises(InvalidArgument) as caught:
        body.decode(text, CreateBody)
    assert caught.value.message == f"invalid JSON: {GO[text]}"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from(["", " ", "\n", "x"]))
def test_the_end_of_every_value_is_found(value: Any, behind: str) -> None:
    text = json.dumps(value).encode()
    assert json_syntax.value_end(text + behind.encode()) == len(text)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\ ', max_size=40).map(str.encode))
def test_refused_exactly_when_python_refuses(text: bytes) -> None:
    try:
        end = json_syntax.value_end(text)
    except InvalidArgument:
        try:
            accepted = json.loads(text.decode("latin-1"), parse_constant=_refuse)
        except ValueError:
            return
        raise AssertionError(accepted) from None
    json.loads(text[:end].decode("latin-1"))


def _refuse(word: str) -> None:
    raise ValueError(word)


# ---------------------------------------------------------------- JSON: Go's tolerance


def test_names_in_any_case_null_and_unknown_fields() -> None:
    text = b"""{"image": "x", "CMD": ["a"], "Foo": {"deep": [1]}, "hostconfig": {"memory": 5, "Binds": null, "Links": []},
        "Hostname": null, "exposedPorts": {"80/tcp": {"ignored": 1}}}"""
    made = body.decode(text, CreateBody)
    assert (made.Image, made.Cmd, made.Hostname) == ("x", ["a"], "")
    assert made.HostConfig is not None
    assert (made.HostConfig.Memory, made.HostConfig.Binds) == (5, None)
    assert list(made.ExposedPorts or ()) == ["80/tcp"]


def test_the_exact_name_wins() -> None:
    assert body.decode(b'{"image": "lower", "Image": "exact"}', CreateBody).Image == "exact"


@pytest.mark.parametrize("text", [b"null", b'{"Unknown": 1}', b"{}}", b"{}]", b" {} "])
def test_what_docker_takes_for_an_empty_object(text: bytes) -> None:
    assert body.decode(text, CreateBody) == CreateBody()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"Image":"b"} {}', "unexpected content after JSON"),
        (b"nullx", "unexpected content after JSON"),
        (b"[]", "invalid JSON: json: cannot unmarshal array into an object"),
        (b"5", "invalid JSON: json: cannot unmarshal number into an object"),
        (b'{"Image":5}', "invalid JSON: Image: expected str, got int"),
        (b'{"HostConfig":{"Memory":"12"}}', "invalid JSON: HostConfig.Memory: expected int, got str"),
        (b'{"HostConfig":{"Memory":1.5}}', "invalid JSON: HostConfig.Memory: expected int, got float"),
        (b'{"Labels":["a"]}', "invalid JSON: Labels: expected object | null, got array"),
        (b'{"Cmd":5}', "invalid JSON: Cmd: expected str | array | null, got int"),
    ],
)
def test_wrong_types_are_named_with_their_place(text: bytes, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        body.decode(text, CreateBody)
    assert caught.value.message == sentence


@pytest.mark.parametrize("number", ["9223372036854775808", "-9223372036854775809", "1" * 400, "1e400", "-1e400"])
def test_absurd_numbers(number: str) -> None:
    """CVE-2018-20699 class: a number outside its type is refused before anybody computes with it."""
    with pytest.raises(InvalidArgument, match=r"HostConfig\.Memory|out of range"):
        body.decode(b'{"HostConfig":{"Memory":%b}}' % number.encode(), CreateBody)


@pytest.mark.parametrize("text", [b'{"Foo":' + b"[" * 200_000, b'{"Foo":' + b"[" * 200_000 + b"]" * 200_000 + b"}"])
def test_deep_nesting_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument, match="exceeded max depth"):
        body.decode(text, CreateBody)


@given(st.binary(max_size=80))
def test_any_body_gives_a_struct_or_a_sentence(text: bytes) -> None:
    try:
        assert isinstance(body.decode(text, ExecBody), ExecBody)
    except InvalidArgument as error:
        assert error.message.startswith(("invalid JSON: ", "unexpected content"))


@given(
    st.dictionaries(
        st.sampled_from([f.encode_name for f in msgspec.structs.fields(CreateBody)]), json_values, max_size=3
    )
)
def test_any_object_gives_a_struct_or_a_sentence(value: dict[str, Any]) -> None:
    try:
        body.decode(json.dumps(value).encode(), CreateBody)
    except InvalidArgument as error:
        assert error.message.startswith("invalid JSON: ")

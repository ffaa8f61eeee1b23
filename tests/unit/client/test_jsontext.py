"""Our JSON beside the standard library's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.client import jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
PAIRED = VALUES.filter(lambda value: not any(0xD800 <= ord(c) < 0xE000 for c in str(value)))


@given(PAIRED)
def test_what_is_written_reads_back(value: object) -> None:
    assert json.loads(jsontext.encode(value)) == value
    assert jsontext.decode(jsontext.encode(value)) == value


@given(PAIRED)
def test_what_the_standard_library_writes_is_read(value: object) -> None:
    assert jsontext.decode(json.dumps(value, indent=2, ensure_ascii=False).encode()) == value


@given(st.binary() | st.text(alphabet='{}[]",:0123456789.eE+-truefalsnl \\u\n'))
def test_garbage_is_a_value_error_or_what_the_standard_library_says(data: bytes | str) -> None:
    try:
        value = jsontext.decode(data)
    except ValueError:
        return
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    assert value == json.loads(text, strict=False)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "1 2", "0\x0b", "NaN", "nul", '{"a":}', "[" * 200_000])
def test_bad_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        jsontext.decode(text)


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert json.loads(jsontext.encode(["\udc80x", "a\udcff", "😀", "\\udc80", "\\\udc80"])) == [
        "\ufffdx", "a\ufffd", "😀", "\\udc80", "\\\ufffd",
    ]  # fmt: skip


def test_objects_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(TypeError):
        jsontext.encode({"a": object()})

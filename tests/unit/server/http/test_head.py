"""Request heads: one reading or none (request smuggling, CVE-2025-43859 class)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.server.http.head import MAX_FIELDS, BadMessage, parse_head


def test_a_usual_head() -> None:
    head = parse_head(
        b"POST /v1.45/containers/create?name=a HTTP/1.1\r\nHost: d\r\nContent-Length: 12\r\nX-Two:  a b\t"
    )
    assert (head.method, head.target, head.length, head.keep_alive) == (
        "POST",
        "/v1.45/containers/create?name=a",
        12,
        True,
    )
    assert head.headers == {"host": "d", "content-length": "12", "x-two": "a b"}


def test_repeated_fields_are_joined() -> None:
    assert parse_head(b"GET / HTTP/1.1\r\nHost: d\r\nA: 1\r\na: 2").headers["a"] == "1, 2"


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"GET / HTTP/1.1\r\nHost: d\r\nConnection: close", False),
        (b"GET / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, Close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", True),
    ],
)
def test_keep_alive(head: bytes, keep: bool) -> None:
    assert parse_head(head).keep_alive is keep


LINE = b"POST / HTTP/1.1\r\nHost: d\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1\r\nHost: d", 400),
        (b"GET / HTTP/1.1 \r\nHost: d", 400),
        (b"GET\t/ HTTP/1.1\r\nHost: d", 400),
        (b"get / HTTP/1.1\r\nHost: d", 501),
        (b"BREW / HTTP/1.1\r\nHost: d", 501),
        (b"G\xc3T / HTTP/1.1\r\nHost: d", 400),
        (b"GET / HTTP/2.0\r\nHost: d", 505),
        (b"GET / HTTP/1.2\r\nHost: d", 505),
        (b"GET / http/1.1\r\nHost: d", 400),
        (b"GET http://d/ HTTP/1.1\r\nHost: d", 400),
        (b"GET /\xe9 HTTP/1.1\r\nHost: d", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: d", 400),
        (b"GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\nHost: d", 400),
        (b"GET / HTTP/1.1\r\nHost: d\nX: y", 400),
        (b"GET / HTTP/1.1\r\nHost: d\r\n folded", 400),
        (b"GET / HTTP/1.1\r\nHost : d", 400),
        (b"GET / HTTP/1.1\r\nHost: d\r\n: x", 400),
        (b"GET / HTTP/1.1\r\nHost: d\r\nnocolon", 400),
        (b"GET / HTTP/1.1\r\nHost: d\r\nX: a\x00b", 400),
        (b"GET / HTTP/1.1\r\nHost: d\r\nX: a\rb", 400),
        (b"GET / HTTP/1.1\r\nHost: d\r\nHost: e", 400),
        (LINE + b"Content-Length: 1\r\nContent-Length: 1", 400),
        (LINE + b"Content-Length: 1, 1", 400),
        (LINE + b"Content-Length: +1", 400),
        (LINE + b"Content-Length: -1", 400),
        (LINE + b"Content-Length: 0x1", 400),
        (LINE + b"Content-Length: 1 1", 400),
        (LINE + b"Content-Length: ", 400),
        (LINE + b"Content-Length: \xb2", 400),
        (LINE + b"Content-Length: 9999999999999999999", 400),
        (LINE + b"Content-Length: 1\r\nTransfer-Encoding: chunked", 400),
        (LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        (LINE + b"Transfer-Encoding: gzip, chunked", 501),
        (LINE + b"Transfer-Encoding: chunked, identity", 501),
        (LINE + b"Transfer-Encoding: xchunked", 501),
        (LINE + b"Transfer-Encoding: \x0bchunked", 400),
        (LINE + b"Transfer-Encoding : chunked", 400),
        (LINE + b"Transfer\xc2\xa0Encoding: chunked", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
        (LINE + b"\r\n".join(b"A%d: b" % i for i in range(MAX_FIELDS)), 431),
    ],
)
def test_what_could_be_read_two_ways_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_head(head)
    assert caught.value.status == status


@given(st.binary(max_size=300))
def test_any_bytes_give_a_head_or_a_refusal(raw: bytes) -> None:
    try:
        parse_head(raw)
    except BadMessage as error:
        assert 400 <= error.status <= 505


@given(
    st.lists(
        st.sampled_from(
            [b"GET / HTTP/1.1", b"Host: d", b"Content-Length: 3", b" x", b"Transfer-Encoding: chunked", b"\n", b"A:b"]
        )
    )
)
def test_accepted_heads_have_one_length(lines: list[bytes]) -> None:
    try:
        head = parse_head(b"\r\n".join(lines))
    except BadMessage:
        return
    assert not ("content-length" in head.headers and "transfer-encoding" in head.headers)
    assert sum(line.lower().startswith(b"content-length") for line in lines) <= 1

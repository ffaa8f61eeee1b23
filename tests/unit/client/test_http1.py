"""The HTTP reader takes any cut of the stream, and refuses what is malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.client.http1 import Chunked, encode_request, parse_head, query, quote
from scow.errors import DataLoss

CUTS = st.lists(st.integers(1, 9), max_size=60)


def chunk(parts: list[bytes]) -> bytes:
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\nTrailer: x\r\n\r\n"


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    out, at = [], 0
    for cut in cuts:
        out.append(data[at : at + cut])
        at += cut
    return [*out, data[at:]]


@given(st.lists(st.binary(max_size=40), max_size=8), CUTS, st.binary(max_size=5))
def test_chunks_in_any_cut_give_the_body(parts: list[bytes], cuts: list[int], after: bytes) -> None:
    decoder = Chunked()
    body = b"".join(decoder.feed(piece) for piece in pieces(chunk(parts) + after, cuts))
    assert (body, decoder.done, decoder.rest()) == (b"".join(parts), True, after)


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_garbage_chunks_end_in_an_error_or_wait_for_more(garbage: list[bytes]) -> None:
    decoder = Chunked()
    try:
        for piece in garbage:
            decoder.feed(piece)
    except DataLoss:
        pass


@pytest.mark.parametrize("line", [b"\r\n", b"g\r\n", b"-1\r\n", b"0x1\r\n", b"1" * 16 + b"\r\n", b"1" * 5000])
def test_bad_chunk_sizes_are_refused(line: bytes) -> None:
    with pytest.raises(DataLoss):
        Chunked().feed(line)


@given(
    st.integers(100, 599),
    st.text("abcXYZ -", max_size=8),
    st.dictionaries(st.text("abc-", min_size=1), st.text("xyz 1")),
)
def test_heads_read_back(status: int, reason: str, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    head = parse_head("\r\n".join(lines).encode())
    assert (head.status, head.reason) == (status, reason)
    assert head.headers == {name.lower(): value.strip() for name, value in headers.items()}


@given(st.binary(max_size=200))
def test_any_head_is_parsed_or_refused(data: bytes) -> None:
    try:
        head = parse_head(data)
    except DataLoss:
        return
    assert 0 <= head.status <= 999


@pytest.mark.parametrize(
    "text",
    ["", "HTTP/2 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2x0", "HTTP/1.1 200 OK\r\nno colon", "HTTP/1.1 200\r\n a: b"],
)
def test_malformed_heads_are_refused(text: str) -> None:
    with pytest.raises(DataLoss):
        parse_head(text.encode())


@pytest.mark.parametrize("length", ["-1", "1x", "", "9" * 19, "１"])
def test_malformed_lengths_are_refused(length: str) -> None:
    head = parse_head(b"HTTP/1.1 200 OK")
    head.headers["content-length"] = length
    with pytest.raises(DataLoss):
        head.body_length("GET")


def test_body_lengths() -> None:
    head = parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 7")
    assert [head.body_length(method) for method in ("GET", "HEAD")] == [7, 0]
    assert parse_head(b"HTTP/1.1 204 No Content").body_length("GET") == 0
    assert parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked").body_length("GET") == -1
    assert parse_head(b"HTTP/1.1 200 OK").body_length("GET") == -2


def test_a_line_break_cannot_get_into_a_request() -> None:
    with pytest.raises(ValueError):
        encode_request("GET", "/a\r\nX: y", (), None)
    with pytest.raises(ValueError):
        encode_request("GET", "/", [("A", "b\nc")], None)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_quoting_is_that_of_urllib(text: str) -> None:
    from urllib.parse import quote as reference

    assert quote(text) == reference(text, safe="")
    assert quote(text, "/:@") == reference(text, safe="/:@")
    assert query([("a", text)]) == f"?a={reference(text, safe='')}"

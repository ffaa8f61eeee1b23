"""Request bodies: framing does not depend on how the bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.server.http.body import ChunkedReader, LengthReader, reader
from scow.server.http.head import BadMessage


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    points = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in zip(points, points[1:], strict=False)] or [b""]


@given(st.binary(max_size=50), st.binary(max_size=20), st.lists(st.integers(0, 80)))
def test_a_length_is_kept_whatever_the_pieces(body: bytes, rest: bytes, cuts: list[int]) -> None:
    it = LengthReader(len(body))
    got, behind = b"", b""
    for piece in pieces(body + rest, cuts):
        if it.done:
            behind += piece
            continue
        got += it.feed(piece)
    assert (got, it.rest + behind, it.done) == (body, rest, True)


@given(st.lists(st.binary(min_size=1, max_size=40)), st.binary(max_size=20), st.lists(st.integers(0, 300)))
def test_chunks_are_joined_whatever_the_pieces(chunks: list[bytes], rest: bytes, cuts: list[int]) -> None:
    wire = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: x\r\n\r\n"
    it = ChunkedReader()
    got, behind = b"", b""
    for piece in pieces(wire + rest, cuts):
        if it.done:
            behind += piece
            continue
        got += it.feed(piece)
    assert (got, it.rest + behind, it.done) == (b"".join(chunks), rest, True)


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n", b"g\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\nabc", b" 1\r\n", b"1\nx", b"1\r\nxy\r\n", b"1\r\nx\n0\r\n\r\n",
        b"1" * 300, b"10000000000000000\r\n", b"0\r\nbad\n", b"0\r\n" + b"T: x\r\n" * 2000, b";a\r\n", b"1 1\r\n",
    ],
)  # fmt: skip
def test_bad_chunking_is_refused(wire: bytes) -> None:
    with pytest.raises(BadMessage):
        ChunkedReader().feed(wire)


@given(st.binary(max_size=200))
def test_any_bytes_are_chunks_or_refused(wire: bytes) -> None:
    try:
        ChunkedReader().feed(wire)
    except BadMessage as error:
        assert error.status in (400, 431)


def test_the_head_decides() -> None:
    assert isinstance(reader(-1), ChunkedReader)
    assert reader(0).done
    assert not reader(1).done

"""Multiplexed streams in any cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.client.frames import Demultiplexer
from scow.errors import DataLoss, Internal


def frame(stream: int, payload: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(payload).to_bytes(4, "big") + payload


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.binary(max_size=50))), st.lists(st.integers(1, 13), max_size=80)
)
def test_frames_in_any_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(*one) for one in frames)
    got = {1: b"", 2: b""}
    demultiplexer, at = Demultiplexer(), 0
    for cut in [*cuts, len(data) + 1]:
        for fd, piece in demultiplexer.feed(data[at : at + cut]):
            got[fd] += piece
        at += cut
    assert got[2] == b"".join(payload for stream, payload in frames if stream == 2)
    assert got[1] == b"".join(payload for stream, payload in frames if stream != 2)


def test_the_daemons_error_frame() -> None:
    with pytest.raises(Internal, match="error from daemon in stream: disk full"):
        Demultiplexer().feed(frame(3, b"disk full"))


def test_a_stream_that_is_no_frames_is_refused() -> None:
    with pytest.raises(DataLoss):
        Demultiplexer().feed(b"plain text of a terminal")


def test_neighbouring_frames_of_one_stream_are_one_piece() -> None:
    data = frame(1, b"a\n") + frame(1, b"b\n") + frame(2, b"e\n") + frame(1, b"c") + frame(1, b"cut")[:-1]
    assert Demultiplexer().feed(data) == [(1, b"a\nb\n"), (2, b"e\n"), (1, b"c"), (1, b"cu")]

"""RFC 6455: the handshake and frames, whole and in pieces, right and wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import Forbidden, InvalidArgument
from scow.server.http import websocket
from scow.server.http.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, Decoder, Frame, Violation

GOOD = {
    "upgrade": "websocket", "connection": "keep-alive, Upgrade", "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "host": "d",
}  # fmt: skip


def masked(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """As a client writes it."""
    size = len(payload)
    if size <= 125:
        head = bytes((opcode | final << 7, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((opcode | final << 7, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((opcode | final << 7, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def test_the_answer_of_the_rfcs_example() -> None:
    assert websocket.accept(GOOD) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert websocket.accept({**GOOD, "origin": "http://d"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"upgrade": "tcp"}, "not websocket protocol"), ({"connection": "close"}, "not websocket protocol"),
        ({"sec-websocket-version": "8"}, "invalid websocket version"), ({"sec-websocket-key": "eA=="}, "websocket key"),
        ({"sec-websocket-key": "\xe9"}, "websocket key"), ({"sec-websocket-key": ""}, "websocket key"),
    ],
)  # fmt: skip
def test_what_is_no_handshake(change: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        websocket.accept({**GOOD, **change})


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://d:8080", "file://"])
def test_a_page_of_another_place_is_kept_out(origin: str) -> None:
    with pytest.raises(Forbidden):
        websocket.accept({**GOOD, "origin": origin})


@given(
    st.lists(
        st.tuples(st.sampled_from([TEXT, BINARY, PING, CLOSE]), st.binary(max_size=125).filter(lambda b: len(b) != 1))
    ),
    st.integers(1, 7),
)
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[tuple[int, bytes]], step: int) -> None:
    data = b"".join(masked(opcode, payload) for opcode, payload in frames)
    decoder, found = Decoder(), []
    for start in range(0, len(data), step):
        found += decoder.feed(data[start : start + step])
    assert found == [Frame(opcode, payload) for opcode, payload in frames]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1 << 20])
def test_sizes(size: int) -> None:
    payload = bytes(size)
    assert Decoder().feed(masked(BINARY, payload)) == [Frame(BINARY, payload)]
    written = websocket.encode(BINARY, payload)
    assert written[0] == 0x82 and written.endswith(payload) and len(written) - size in (2, 4, 10)


def test_a_message_in_frames_with_a_ping_between() -> None:
    data = masked(TEXT, b"a", final=False) + masked(PING, b"p") + masked(CONTINUATION, b"b")
    assert [frame.payload for frame in Decoder().feed(data)] == [b"a", b"p", b"b"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x82\x00", 1002),  # not masked
        (b"\xc2\x80", 1002),  # a reserved bit
        (b"\x83\x80", 1002),  # an opcode that is none
        (b"\x8b\x80", 1002),
        (b"\x09\x80", 1002),  # a ping in pieces
        (b"\x89\xfe\x00\x80", 1002),  # a long ping
        (masked(CONTINUATION, b""), 1002),  # of nothing
        (masked(TEXT, b"", final=False) + masked(TEXT, b""), 1002),
        (b"\x82\xfe\x00\x05", 1002),  # a length that could be shorter
        (b"\x82\xff" + (100).to_bytes(8, "big"), 1002),
        (b"\x82\xff" + (1 << 62).to_bytes(8, "big"), 1009),
        (masked(CLOSE, b"x"), 1002),
    ],
)
def test_violations(data: bytes, code: int) -> None:
    with pytest.raises(Violation) as found:
        Decoder().feed(data)
    assert found.value.code == code


@given(st.binary())
def test_any_bytes_give_frames_or_a_violation(data: bytes) -> None:
    try:
        Decoder().feed(data)
    except Violation as violation:
        assert violation.code in (1002, 1009)

"""Messages over a SOCK_SEQPACKET pair: what is sent arrives, what is garbage is refused and leaks no descriptor."""

import json
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.monitor import json_text, wire

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = len(os.listdir("/proc/self/fd"))
    yield made
    assert len(os.listdir("/proc/self/fd")) == before - sum(each.fileno() < 0 for each in made)
    for each in made:
        each.close()


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_small_json_is_json(value: object) -> None:
    text = json_text.dumps(value)
    assert text.isascii() and json.loads(text) == value
    assert json_text.loads(text) == value
    assert json_text.loads(json.dumps(value)) == value


@given(st.text(max_size=60) | st.sampled_from(["", " 1", "1 ", "{}{}", "nul", '{"a":}', "[", "[" * 100000]))
def test_other_text_is_refused(text: str) -> None:
    try:
        expected = json.loads(text)
    except (ValueError, RecursionError):
        expected = None
    try:
        found = json_text.loads(text)
    except (ValueError, RecursionError):
        return
    assert found == expected or found != found


def test_what_cannot_be_sent() -> None:
    for value in (1.5, b"x", {1: 2}, object()):
        with pytest.raises(TypeError):
            json_text.dumps(value)


def test_messages_with_descriptors(pair: Pair) -> None:
    left, right = pair
    read, write = os.pipe()
    wire.send(left, {"op": "x", "text": "é\ud800"}, (read, write))
    message, fds = wire.receive(right)
    assert message == {"op": "x", "text": "é\ud800"}
    assert [os.get_inheritable(fd) for fd in fds] == [False, False]
    os.write(fds[1], b"through")
    assert os.read(read, 10) == b"through"
    wire.close_all([*fds, read, write])
    with pytest.raises(BlockingIOError):
        wire.receive(right)


@pytest.mark.parametrize("size", [60000, 66000, 300_000, 5_000_000])
def test_large_messages_travel_in_a_file(pair: Pair, size: int) -> None:
    left, right = pair
    null = os.open("/dev/null", os.O_RDONLY)
    wire.send(left, {"text": "x" * size}, (null,))
    message, fds = wire.receive(right)
    assert len(message["text"]) == size and len(fds) == 1
    wire.close_all([*fds, null])


def test_the_end(pair: Pair) -> None:
    left, right = pair
    wire.send(left, {"last": 1})
    left.close()
    assert wire.receive(right)[0] == {"last": 1}
    with pytest.raises(wire.Closed):
        wire.receive(right)
    with pytest.raises(OSError):
        wire.send(right, {"to": "nobody"})


def test_what_was_sent_before_a_close_with_unread_messages_is_not_lost(pair: Pair) -> None:
    left, right = pair
    wire.send(left, {"event": "exit"})
    wire.send(right, {"op": "never read"})
    left.close()
    assert wire.receive(right)[0] == {"event": "exit"}
    with pytest.raises(wire.Closed):
        wire.receive(right)


def _raw(peer: socket.socket, payload: bytes, fds: tuple[int, ...] = ()) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
    peer.sendmsg([payload], rights)


@pytest.mark.parametrize(
    "payload",
    [b"x", b"{", b"[1]", b"1", b'"x"', b"\xff\xfe", b"{}x", b"@", b"{" * 60000, b'{"x":' * 9000, b"x" * 80000],
)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_garbage_is_refused_and_its_descriptors_are_closed(pair: Pair, payload: bytes, count: int) -> None:
    left, right = pair
    null = os.open("/dev/null", os.O_RDONLY)
    _raw(left, payload, (null,) * count)
    with pytest.raises(wire.Malformed):
        wire.receive(right)
    os.close(null)
    wire.send(left, {"next": "is good"})
    assert wire.receive(right)[0] == {"next": "is good"}


def test_a_file_that_can_still_change_is_refused(pair: Pair) -> None:
    left, right = pair
    file = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.write(file, b'{"op":"x"}')
    _raw(left, b"@", (file,))
    with pytest.raises(wire.Malformed, match="not sealed"):
        wire.receive(right)
    os.close(file)


@given(st.binary(max_size=200))
def test_any_packet_is_a_message_or_refused(payload: bytes) -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        left.send(payload)
        try:
            message, fds = wire.receive(right)
            assert isinstance(message, dict) and fds == []
        except (wire.Malformed, wire.Closed):
            pass
    finally:
        left.close()
        right.close()

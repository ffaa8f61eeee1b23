"""Messages between daemon, zygote and monitor: one JSON object and some file descriptors per SOCK_SEQPACKET packet.

An object that does not fit a packet travels in a sealed memory file, whose fd then comes first and whose packet is b"@".
Received descriptors are close-on-exec. What a peer sends is never trusted: `receive` raises Malformed, having closed
every fd that came along.
"""

import _socket
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

from scow.errors import InvalidArgument
from scow.monitor import json_text

Message = dict[str, Any]
MAX_FDS = 250
"""The kernel takes 253 descriptors in one packet."""

_MAX_PACKET = 64 << 10
_MAX_MESSAGE = 64 << 20
_IN_FILE = b"@"
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_ANCILLARY = socket.CMSG_SPACE((MAX_FDS + 1) * 4)

# Plain numbers: arithmetic with the enumerations of `socket` touches a lot of memory (see json_text.py).
_UNIX = int(socket.AF_UNIX)
_PACKETS = int(socket.SOCK_SEQPACKET)
_SOL_SOCKET = int(socket.SOL_SOCKET)
_SEND = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_RECEIVE_WAITING = int(socket.MSG_CMSG_CLOEXEC)
_RECEIVE = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)

Peer = socket.SocketType
"""A connected SOCK_SEQPACKET socket; also of the class below `socket.socket`, which is lighter."""


class Malformed(InvalidArgument):
    """A packet is not a message."""


class Closed(Exception):
    """The peer has gone."""


def pair() -> tuple[Peer, Peer]:
    """Two connected ones. (`socket.socketpair` would make its heavier class of them.)"""
    first, second = _socket.socketpair(_UNIX, _PACKETS)
    return first, second


def encode(message: Message) -> bytes:
    """The packet's bytes, unless they are too many (see `send`)."""
    return json_text.dumps(message).encode("ascii")


def send(peer: Peer, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message without waiting. BlockingIOError when the peer's buffer is full, OSError when it has gone."""
    send_encoded(peer, encode(message), fds)


def send_encoded(peer: Peer, payload: bytes, fds: Sequence[int] = ()) -> None:
    """As `send`, for JSON that is encoded already."""
    if len(payload) <= _MAX_PACKET:
        _send_packet(peer, payload, fds)
        return
    file = os.memfd_create("message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(payload)
        while view:
            view = view[os.write(file, view) :]
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
        _send_packet(peer, _IN_FILE, (file, *fds))
    finally:
        os.close(file)


def _send_packet(peer: Peer, payload: bytes, fds: Sequence[int]) -> None:
    rights = [(_SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
    peer.sendmsg([payload], rights, _SEND)


def receive(peer: Peer, *, wait: bool = False) -> tuple[Message, list[int]]:
    """The next message and the fds that came with it, which the caller owns.

    Raises BlockingIOError when there is none and `wait` is false, Closed when the peer has gone, Malformed.
    """
    payload, ancillary, received = _receive_packet(peer, _RECEIVE_WAITING if wait else _RECEIVE)
    fds = _descriptors(ancillary)
    if not payload and not fds:
        raise Closed
    try:
        if received & _CUT:
            raise Malformed("a message was cut short")
        if payload == _IN_FILE:
            payload = _read_file(fds)
        return _decode(payload), fds
    except BaseException:
        close_all(fds)
        raise


def _receive_packet(peer: Peer, flags: int) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
    try:
        payload, ancillary, received, _ = peer.recvmsg(_MAX_PACKET + 1, _ANCILLARY, flags)
    except ConnectionResetError:
        # The peer closed without having read everything. The kernel says so once, before what the peer had sent.
        try:
            payload, ancillary, received, _ = peer.recvmsg(_MAX_PACKET + 1, _ANCILLARY, flags)
        except (ConnectionError, BlockingIOError) as error:
            raise Closed from error
    except ConnectionError as error:
        raise Closed from error
    return payload, ancillary, received


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds += struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])
    return fds


def _read_file(fds: list[int]) -> bytes:
    """The message in the first fd. Only a sealed memory file is read: it can neither block nor change meanwhile."""
    if not fds:
        raise Malformed("a message's file is missing")
    file = fds.pop(0)
    try:
        if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise Malformed("a message's file is not sealed")
        size = os.fstat(file).st_size
        if size > _MAX_MESSAGE:
            raise Malformed(f"a message of {size} bytes is too large")
        return os.pread(file, size, 0)
    except OSError as error:
        raise Malformed("a message's file is not a sealed memory file") from error
    finally:
        os.close(file)


def _decode(payload: bytes) -> Message:
    try:
        message = json_text.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed("a message is not JSON") from error
    if not isinstance(message, dict):
        raise Malformed("a message is not an object")
    return message


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that nobody wants."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass

"""The WebSocket protocol (RFC 6455), server's side: handshake and frames. No I/O.

Strict where the RFC says MUST: frames of clients are masked, reserved bits and opcodes are errors, control frames are
short and whole. Messages are not put together: the payload of each frame is handed on as it comes.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from scow.errors import Forbidden, InvalidArgument

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # 1.3
_VERSION = "13"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_DATA = frozenset((CONTINUATION, TEXT, BINARY))
_CONTROL = frozenset((CLOSE, PING, PONG))
NORMAL, PROTOCOL_ERROR, TOO_BIG = 1000, 1002, 1009
_MAX_FRAME = 1 << 20
_MAX_CONTROL = 125


class Violation(Exception):
    """The peer breaks the protocol; `code` is what the close frame says."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Frame:
    """opcode and unmasked payload."""

    opcode: int
    payload: bytes


def accept(headers: Mapping[str, str]) -> str:
    """The Sec-WebSocket-Accept of a request's headers (lower-case names). InvalidArgument when it is no handshake;
    Forbidden when a web page of another place asks: a browser lets every page try.
    """
    upgrade = {word.strip().lower() for word in headers.get("upgrade", "").split(",")}
    connection = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    if "websocket" not in upgrade or "upgrade" not in connection:
        raise InvalidArgument("not websocket protocol")
    if headers.get("sec-websocket-version") != _VERSION:
        raise InvalidArgument(f"invalid websocket version: {_VERSION} is supported")
    key = headers.get("sec-websocket-key", "")
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise InvalidArgument("invalid websocket key")
    except (binascii.Error, ValueError):
        raise InvalidArgument("invalid websocket key") from None
    origin = headers.get("origin", "")
    if origin and origin.partition("://")[2] != headers.get("host", ""):
        raise Forbidden(f"websocket origin {origin} is not this host")
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")


def encode(opcode: int, payload: bytes) -> bytes:
    """One whole frame."""
    size = len(payload)
    if size <= 125:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def closing(code: int) -> bytes:
    """A close frame."""
    return encode(CLOSE, code.to_bytes(2, "big"))


class Decoder:
    """Bytes of a client in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._open = False  # a message of which more frames come

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises Violation."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        final, opcode = bool(first & 0x80), first & 0x0F
        self._check(first, second, final, opcode)
        size, start = second & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
            if size < (126 if start == 4 else 1 << 16):
                raise Violation(PROTOCOL_ERROR, "a length that is not the shortest")
        if size > _MAX_FRAME:
            raise Violation(TOO_BIG, f"a frame of {size} bytes")
        end = start + 4 + size
        if len(buffer) < end:
            return None
        payload = _unmask(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4]))
        del buffer[:end]
        if opcode in _DATA:
            self._open = not final
        elif opcode == CLOSE and size == 1:
            raise Violation(PROTOCOL_ERROR, "half a close code")
        return Frame(opcode, payload)

    def _check(self, first: int, second: int, final: bool, opcode: int) -> None:
        if first & 0x70:
            raise Violation(PROTOCOL_ERROR, "reserved bits are set")
        if not second & 0x80:
            raise Violation(PROTOCOL_ERROR, "a frame that is not masked")
        if opcode in _CONTROL:
            if not final or second & 0x7F > _MAX_CONTROL:
                raise Violation(PROTOCOL_ERROR, "a control frame in pieces, or too long")
        elif opcode not in _DATA:
            raise Violation(PROTOCOL_ERROR, f"unknown opcode {opcode}")
        elif (opcode == CONTINUATION) != self._open:
            raise Violation(PROTOCOL_ERROR, "a continuation of nothing, or a message within a message")


def _unmask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")

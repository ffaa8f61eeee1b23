"""Netlink sockets: messages packed by hand, many in one send, every acknowledgement checked.

It knows no family's meaning; rtnetlink.py and nftables.py do. Errors come as `NetlinkError` (an OSError) with the
kernel's own sentence when it gives one.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence

ROUTE = 0
NETFILTER = 12

REQUEST = 0x01
MULTI = 0x02
ACK = 0x04
DUMP = 0x300
REPLACE = 0x100
EXCL = 0x200
CREATE = 0x400

_DONE = 3
_ERROR = 2
_CAPPED = 0x100
_ACK_TLVS = 0x200
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_NESTED = 0x8000
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE = 1 << 16

Message = tuple[int, int, bytes]
"""(type, flags besides REQUEST, payload behind the header)."""


class NetlinkError(OSError):
    """The kernel refused a message; `index` is its place in the batch."""

    def __init__(self, code: int, detail: str, index: int = 0) -> None:
        super().__init__(code, f"{os.strerror(code)}: {detail}" if detail else os.strerror(code))
        self.index = index


def attribute(kind: int, data: bytes = b"") -> bytes:
    """One type-length-value, padded to 4 bytes."""
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def attributes(data: bytes) -> dict[int, bytes]:
    """The type-length-values of a payload, by type without the nesting flag; the last of a type counts."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class Netlink:
    """One socket of a netlink family, bound to the network namespace in which it was opened. Not thread-safe."""

    def __init__(self, family: int) -> None:
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        try:
            for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):  # a batch is one datagram, however long
                self._socket.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
            # not settimeout: Python would poll before every call, and MSG_DONTWAIT would wait
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("=qq", 10, 0))
            self._socket.bind((0, 0))
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """This socket's address, as others see it in what it has changed."""
        return int(self._socket.getsockname()[0])

    def close(self) -> None:
        self._socket.close()

    def send(self, messages: Sequence[Message], tolerate: Sequence[int] = ()) -> None:
        """Send a batch and check every acknowledgement; the first error that is not tolerated is raised.

        The kernel goes on behind an error (a family's transaction aside): later messages may have been done.
        """
        self._drop_leftovers()
        first = self._sequence + 1
        waiting: set[int] = set()
        parts: list[bytes] = []
        for kind, flags, payload in messages:
            self._sequence += 1
            if flags & ACK:
                waiting.add(self._sequence)
            parts.append(_HEADER.pack(16 + len(payload), kind, flags | REQUEST, self._sequence, 0) + payload)
        self._socket.send(b"".join(parts))
        failure: NetlinkError | None = None
        while waiting:
            for kind, flags, sequence, body in self._receive():
                if kind != _ERROR or not first <= sequence <= self._sequence:
                    continue
                error = _failure(flags, body, sequence - first)
                if error is not None and sequence not in waiting:
                    raise error  # the frame of a transaction was refused: nothing else need be answered
                waiting.discard(sequence)
                if error is not None and error.errno not in tolerate and failure is None:
                    failure = error
        if failure is not None:
            raise failure

    def ask(self, kind: int, payload: bytes, flags: int = 0) -> bytes:
        """The payload of the single answer to one message."""
        for _, body in self._query(kind, flags, payload):
            return body
        raise NetlinkError(errno.ENODATA, "no answer")

    def dump(self, kind: int, payload: bytes) -> list[tuple[int, bytes]]:
        """(type, payload) of every object the kernel lists; asked again when the list changed meanwhile."""
        for attempt in range(5):
            try:
                return list(self._query(kind, DUMP, payload))
            except InterruptedError:
                if attempt == 4:
                    raise
        raise AssertionError

    def _query(self, kind: int, flags: int, payload: bytes) -> Iterator[tuple[int, bytes]]:
        self._drop_leftovers()
        self._sequence += 1
        wanted = self._sequence
        self._socket.send(_HEADER.pack(16 + len(payload), kind, flags | REQUEST, wanted, 0) + payload)
        interrupted = False
        while True:
            for answer, answer_flags, sequence, body in self._receive():
                if sequence != wanted:
                    continue
                interrupted |= bool(answer_flags & 0x10)
                if answer == _DONE:
                    if interrupted:
                        raise InterruptedError
                    return
                if answer == _ERROR:
                    error = _failure(answer_flags, body, 0)
                    if error is not None:
                        raise error
                    return
                yield answer, body
                if not answer_flags & MULTI:
                    return

    def _drop_leftovers(self) -> None:
        """Answers of a request that was given up (an error in its middle) must not be taken for the next one's."""
        while True:
            try:
                self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        try:
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            raise NetlinkError(errno.ETIMEDOUT, "the kernel did not answer") from None
        offset = 0
        while offset + 16 <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            if length < 16:
                return
            yield kind, flags, sequence, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3


def _failure(flags: int, body: bytes, index: int) -> NetlinkError | None:
    (code,) = struct.unpack_from("=i", body)
    if code == 0:
        return None
    detail = ""
    if flags & _ACK_TLVS:
        # struct nlmsgerr: the code, then the request's header, capped or with its whole payload, then attributes
        (length,) = struct.unpack_from("=I", body, 4)
        offset = 20 if flags & _CAPPED else 4 + ((length + 3) & ~3)
        detail = attributes(body[offset:]).get(1, b"").rstrip(b"\0").decode("utf-8", "replace")
    return NetlinkError(-code, detail, index)

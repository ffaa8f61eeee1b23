"""Request bodies: bytes in, body bytes out. No I/O."""

from typing import Protocol

from scow.server.http.head import BadMessage

_HEX = frozenset(b"0123456789abcdefABCDEF")
_MAX_SIZE_LINE = 256
_MAX_TRAILER = 8 << 10


class BodyReader(Protocol):
    """Takes what arrives until `done`; `rest` is what follows the body (the next request, or early stream bytes)."""

    done: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`, without framing; raises BadMessage."""


class LengthReader:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        if len(data) < self._left:
            self._left -= len(data)
            return data
        body, self.rest = data[: self._left], data[self._left :]
        self._left = 0
        self.done = True
        return body


class ChunkedReader:
    """A chunked body (RFC 9112, 7.1). Extensions are skipped, trailers dropped; both are bounded."""

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._pending = b""
        self._left = 0
        self._state = "size"
        self._trailer = 0

    def feed(self, data: bytes) -> bytes:
        data = self._pending + data if self._pending else data
        out: list[bytes] = []
        at = 0
        while not self.done:
            if self._state == "data":
                piece = data[at : at + self._left]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._state = "end"
            elif self._state == "end":
                if len(data) - at < 2:
                    break
                if data[at : at + 2] != b"\r\n":
                    raise BadMessage(400, "malformed chunked encoding")
                at += 2
                self._state = "size"
            else:
                end = data.find(b"\n", at, at + _MAX_SIZE_LINE)
                if end < 0:
                    if len(data) - at >= _MAX_SIZE_LINE:
                        raise BadMessage(400, "chunk line too long")
                    break
                self._line(data[at : end + 1])
                at = end + 1
        if self.done:
            self.rest, self._pending = data[at:], b""
        else:
            self._pending = data[at:]
        return b"".join(out)

    def _line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise BadMessage(400, "malformed chunked encoding")
        if self._state == "trailer":
            self._trailer += len(line)
            if self._trailer > _MAX_TRAILER:
                raise BadMessage(431, "trailer too long")
            self.done = line == b"\r\n"
            return
        size = line[:-2].partition(b";")[0].rstrip(b" \t")
        if not size or len(size) > 15 or not _HEX.issuperset(size):
            raise BadMessage(400, "malformed chunk size")
        self._left = int(size, 16)
        self._state = "data" if self._left else "trailer"


def reader(length: int) -> BodyReader:
    """The reader for a head's `length`."""
    return ChunkedReader() if length < 0 else LengthReader(length)

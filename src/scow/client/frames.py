"""The multiplexed stream of attach, exec and logs: frames with an 8-byte header (stream, 0, 0, 0, size big-endian)."""

from __future__ import annotations

from scow.errors import DataLoss, Internal

SYSTEM_ERROR = 3


class Demultiplexer:
    """Splits the stream into payload pieces, as it comes, without waiting for whole frames."""

    __slots__ = ("_error", "_head", "_left", "_stream")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._stream = 0
        self._error = b""

    def feed(self, data: bytes) -> list[tuple[int, memoryview]]:
        """(file descriptor, payload) pieces that `data` completes, in order.

        Raises DataLoss for a frame of an unknown stream, Internal with the daemon's text for a frame that carries an error.
        """
        out: list[tuple[int, memoryview]] = []
        view = memoryview(data)
        at, end = 0, len(view)
        while at < end:
            if self._left:
                take = min(self._left, end - at)
                self._left -= take
                self._take(view[at : at + take], out)
                at += take
                continue
            need = 8 - len(self._head)
            self._head += bytes(view[at : at + need])
            at += need
            if len(self._head) == 8:
                self._stream = self._head[0]
                self._left = int.from_bytes(self._head[4:], "big")
                self._head = b""
                if self._stream > SYSTEM_ERROR:
                    raise DataLoss(f"Unrecognized input header: {self._stream}")
        return out

    def _take(self, piece: memoryview, out: list[tuple[int, memoryview]]) -> None:
        if self._stream == SYSTEM_ERROR:
            self._error += bytes(piece)
            if not self._left:
                raise Internal("error from daemon in stream: " + self._error.decode("utf-8", "replace"))
        else:
            out.append((2 if self._stream == 2 else 1, piece))

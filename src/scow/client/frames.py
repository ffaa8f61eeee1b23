"""The multiplexed stream of attach, exec and logs: frames with an 8-byte header (stream, 0, 0, 0, size big-endian)."""

from __future__ import annotations

from scow.errors import DataLoss, Internal

SYSTEM_ERROR = 3
_HEADER = 8


class Demultiplexer:
    """Splits the stream into payload, as it comes, without waiting for whole frames."""

    __slots__ = ("_error", "_head", "_left", "_stream")

    def __init__(self) -> None:
        self._head = b""  # the beginning of a header that is not complete
        self._left = 0  # bytes that the current frame still wants
        self._stream = 0
        self._error = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(file descriptor, payload) pieces that `data` completes, in order; neighbours of one stream are one piece.

        A log has a frame for every line, so joining them saves a system call each. Raises DataLoss for a frame of an
        unknown stream, Internal with the daemon's text for a frame that carries an error.
        """
        pieces: list[tuple[int, bytes]] = []
        if self._head:
            data = self._head + data
            self._head = b""
        at, end = 0, len(data)
        if self._left:
            at = min(self._left, end)
            self._left -= at
            self._take(data[:at], pieces)
        run: list[bytes] = []
        stream = -1
        while end - at >= _HEADER:
            stop = at + _HEADER + int.from_bytes(data[at + 4 : at + _HEADER], "big")
            if data[at] != stream or stop > end:
                if run:
                    pieces.append((2 if stream == 2 else 1, b"".join(run)))
                    run = []
                stream = data[at]
                if stop > end or stream >= SYSTEM_ERROR:
                    at = self._odd_frame(data, at, stop, pieces)
                    stream = -1
                    continue
            run.append(data[at + _HEADER : stop])
            at = stop
        if run:
            pieces.append((2 if stream == 2 else 1, b"".join(run)))
        self._head = data[at:]
        return pieces

    def _odd_frame(self, data: bytes, at: int, stop: int, pieces: list[tuple[int, bytes]]) -> int:
        """A frame that is not all here, or that is no output; gives the offset behind what was used."""
        self._stream = data[at]
        if self._stream > SYSTEM_ERROR:
            raise DataLoss(f"Unrecognized input header: {self._stream}")
        used = min(stop, len(data))
        self._left = stop - used
        self._take(data[at + _HEADER : used], pieces)
        return used

    def _take(self, payload: bytes, pieces: list[tuple[int, bytes]]) -> None:
        if self._stream == SYSTEM_ERROR:
            self._error += payload
            if not self._left:
                raise Internal("error from daemon in stream: " + self._error.decode("utf-8", "replace"))
        elif payload:
            pieces.append((2 if self._stream == 2 else 1, payload))

"""The answer to a build whose outputs are archives: progress and archives in one stream.

Frames as of attach, 8 bytes of head before each: the stream, the number of the output, two zeros, the size (big-endian).
Stream 2 is the progress, the JSON lines that are the whole answer otherwise; stream 1 is the archive of an output, and ends
with an empty frame. An archive without that end is not whole.
"""

from collections.abc import AsyncIterator

from scow.server.docker.call import COMMON, Call
from scow.server.http.request import Stream

_HEADERS = COMMON + b"Content-Type: application/vnd.docker.multiplexed-stream\r\n"
_ARCHIVE, _PROGRESS = 1, 2


class Framed:
    """Looks like a Stream of progress lines to who writes these."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._stream: Stream | None = None

    def open(self) -> "Framed":
        """Sends the head, once."""
        self._stream = self._stream or self._call.stream(_HEADERS)
        return self

    async def deliver(self, number: int, pieces: AsyncIterator[bytes]) -> None:
        """The archive of an output. What fails before its first piece has not begun the answer."""
        async for piece in pieces:
            await self._frame(_ARCHIVE, number, piece)
        await self._frame(_ARCHIVE, number, b"")

    async def write(self, data: bytes) -> None:
        await self._frame(_PROGRESS, 0, data)

    async def end(self) -> None:
        self.open()
        assert self._stream is not None
        await self._stream.end()

    async def _frame(self, stream: int, number: int, data: bytes) -> None:
        self.open()
        assert self._stream is not None
        await self._stream.write(bytes((stream, number, 0, 0)) + len(data).to_bytes(4, "big") + data)

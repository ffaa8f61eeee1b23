"""One large blob over several connections: for peers that give each connection little.

On a fast path one connection is as good (measured on loopback: no gain, the processor is the limit), so it begins with
one, and only a peer that turns out to be slow is asked for parts. They are short, so that few bytes wait in memory,
and are handed on in order: what is downstream verifies and unpacks a stream.
"""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable

from scow.background import TaskSet

SLOW = 6 << 20  # bytes a second on one connection, below which parts are tried
MEASURED = 1.0  # seconds of waiting for the peer before its speed is judged
PIECE = 2 << 20
LANES = 4
WORTH = 4 * PIECE  # what must be left for it to be worth it


class Pace:
    """How fast a peer is while it is waited for; the time that the reader takes does not count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self.waited = 0.0
        self.received = 0

    def wait(self) -> None:
        self._since = self._clock()

    def got(self, size: int) -> None:
        self.waited += self._clock() - self._since
        self.received += size

    @property
    def slow(self) -> bool:
        return self.waited >= MEASURED and self.received < SLOW * self.waited


async def in_order(
    fetch: Callable[[int, int], Awaitable[bytes]], start: int, end: int, piece: int = PIECE, lanes: int = LANES
) -> AsyncGenerator[bytes, None]:
    """Bytes start..end of a blob in order; `fetch(start, end)` brings a piece, `lanes` of them at a time."""
    tasks = TaskSet()
    running = deque(
        tasks.spawn(_piece(fetch, begin, min(begin + piece, end)), "blob-part", awaited=True)
        for begin in range(start, min(end, start + lanes * piece), piece)
    )
    begin = start + lanes * piece
    try:
        while running:
            data = await running.popleft()
            if begin < end:
                running.append(tasks.spawn(_piece(fetch, begin, min(begin + piece, end)), "blob-part", awaited=True))
                begin += piece
            yield data
    finally:
        await tasks.close()


async def _piece(fetch: Callable[[int, int], Awaitable[bytes]], start: int, end: int) -> bytes:
    return await fetch(start, end)

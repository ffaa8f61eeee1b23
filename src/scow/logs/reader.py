"""Reading logs in the daemon: everything there is, and with `follow` everything that comes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from scow.logs.files import LogFiles
from scow.logs.query import LogQuery as LogQuery
from scow.logs.records import Formatter

_SHORTEST = 0.005
_LONGEST = 0.05


async def read_log(path: str, query: LogQuery, *, framed: bool, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Chunks of output of the json-file at `path` and its rotated files, oldest first.

    framed: each record has Docker's 8-byte header. `ended` says whether the writer has finished; with query.follow the
    iteration goes on until it has (or until query.until has passed). Raises DataLoss when a file is not readable, such as a
    link. Memory is bounded; decoding runs in worker threads.
    """
    formatter = Formatter(query, framed=framed)
    files = await asyncio.to_thread(LogFiles, path, query.tail)
    delay = _SHORTEST
    try:
        while True:
            finished = not query.follow or ended()  # asked before the look, so that nothing can slip in between
            if query.follow:
                files.follow()
            chunk = await asyncio.to_thread(_next, files, formatter)
            if chunk:
                yield chunk
                delay = _SHORTEST
            if formatter.done:
                return
            if chunk is not None:
                continue
            if finished or (query.until and time.time_ns() > query.until):
                return
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, _LONGEST)
    finally:
        files.close()


def _next(files: LogFiles, formatter: Formatter) -> bytes | None:
    """The next chunk (b"" when nothing of a block was wanted), None when there is nothing more now."""
    block = files.block()
    return formatter.format(block) if block else None

"""Bytes from the event loop to a worker thread, with a bound on what waits in between."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from scow.errors import Cancelled

T = TypeVar("T")
_LIMIT = 4 << 20
_READ = 1 << 20


class Pipe:
    """One writer in the loop (`put`, then `finish`), one reader in a thread (`read`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready = threading.Condition()
        self._room = asyncio.Event()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._finished = False
        self._error: BaseException | None = None
        self._closed = False

    async def put(self, chunk: bytes) -> bool:
        """Hand over a chunk; waits while the reader is far behind. False once the reader has given up."""
        with self._ready:
            self._chunks.append(chunk)
            self._waiting += len(chunk)
            full = self._waiting > _LIMIT
            if full:
                self._room.clear()
            self._ready.notify()
        if full and not self._closed:
            await self._room.wait()
        return not self._closed

    def finish(self, error: BaseException | None = None) -> None:
        """No more bytes; with an error the reader gets Cancelled instead of an end, after what came before it."""
        with self._ready:
            self._finished = True
            self._error = error
            self._ready.notify()

    async def feed(self, source: AsyncIterator[bytes]) -> None:
        """Hand over all that `source` gives, until the reader has given up, and finish."""
        failure: BaseException | None = None
        try:
            async for chunk in source:
                if not await self.put(chunk):
                    break
        except BaseException as error:
            failure = error
            raise
        finally:
            self.finish(failure)

    def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        with self._ready:
            while not self._chunks and not self._finished:
                self._ready.wait()
            if self._error is not None and not self._chunks:
                raise Cancelled("the transfer was given up")
            parts: list[bytes] = []
            size = 0
            while self._chunks and size < _READ:
                chunk = self._chunks.popleft()
                parts.append(chunk)
                size += len(chunk)
            was_full = self._waiting > _LIMIT
            self._waiting -= size
            wake = was_full and self._waiting <= _LIMIT
        if wake:
            self._loop.call_soon_threadsafe(self._room.set)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """The reader reads no more."""
        with self._ready:
            self._closed = True
            self._chunks.clear()
        self._loop.call_soon_threadsafe(self._room.set)


async def through(
    source: AsyncIterator[bytes],
    start: Callable[[Callable[[], bytes]], "asyncio.Future[T]"],
    discard: Callable[[T], object] = lambda _: None,
) -> T:
    """What work in a thread makes of the bytes of `source`; `start` starts it with the function by which it reads.

    On an error, a cancellation too, this returns only when the work has ended; what it made all the same is discarded.
    """
    pipe = Pipe(asyncio.get_running_loop())
    worker = start(pipe.read)
    worker.add_done_callback(lambda _: pipe.close())
    try:
        await pipe.feed(source)
        return await asyncio.shield(worker)
    except BaseException as error:
        pipe.finish(error)
        await settle(worker, discard)
        raise


async def settled(worker: "asyncio.Future[T]", discard: Callable[[T], object] = lambda _: None) -> T:
    """The worker's result. A caller who is cancelled goes on only when the work has ended; what it made is discarded."""
    try:
        return await asyncio.shield(worker)
    except BaseException:
        await settle(worker, discard)
        raise


async def settle(worker: "asyncio.Future[T]", discard: Callable[[T], object]) -> None:
    """Wait, also through cancellations, until the worker has ended and cleaned up; what it made is discarded."""
    while not worker.done():
        try:
            await asyncio.wait([worker])
        except asyncio.CancelledError:
            continue
    if not worker.cancelled() and worker.exception() is None:
        discard(worker.result())

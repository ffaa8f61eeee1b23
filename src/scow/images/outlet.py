"""Bytes from a worker thread to the event loop, with a bound on what waits in between: pipe.py the other way round."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from scow.background import apart, spawn
from scow.errors import Cancelled

_AHEAD = 4


async def pieces(
    work: Callable[[Callable[[bytes], object]], None], name: str, *, own_thread: bool = False
) -> AsyncGenerator[bytes, None]:
    """What `work`, run in a thread, puts into the function that it gets; then what it raised is raised. `own_thread`:
    see background.apart.

    A consumer that closes this iterator ends the work at its next piece.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[bytes] = asyncio.Queue(_AHEAD)
    given_up = False

    def put(chunk: bytes) -> None:
        if chunk:
            asyncio.run_coroutine_threadsafe(waiting.put(chunk), loop).result()
        if given_up:
            raise Cancelled(f"{name} was given up")

    def run() -> None:
        try:
            work(put)
        finally:
            asyncio.run_coroutine_threadsafe(waiting.put(b""), loop).result()

    task: asyncio.Future[None] = apart(run, name) if own_thread else spawn(asyncio.to_thread(run), name, awaited=True)
    ended = False
    try:
        while chunk := await waiting.get():
            yield chunk
        ended = True
        await task
    finally:
        given_up = True
        while not ended and not task.done():  # the thread waits for room
            ended = not await waiting.get()

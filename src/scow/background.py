"""The one place that starts asyncio tasks: each has a name, is kept until done, and a failure is logged, never lost."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from scow.errors import ScowError

_log = logging.getLogger("scow.background")
T = TypeVar("T")


class TaskSet:
    """Tasks of one owner, who closes them with itself."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle: set[asyncio.Task[Any]] = set()
        self._draining = False

    def spawn(self, work: Coroutine[Any, Any, T], name: str, *, awaited: bool = False) -> "asyncio.Task[T]":
        """Run `work` in the background of the running loop. A failure is logged unless somebody has `awaited` it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget if awaited else self._report)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: its awaiter may have been cancelled

    def _report(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, ScowError):
                _log.warning("%s: %s", task.get_name(), error.message)
            else:
                _log.error("background task %s failed", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel all and wait until they are gone."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def idle(self, wait: Awaitable[T]) -> T:
        """Await what may be long in coming: a task that is here has nothing to finish, and `drain` cancels it at once."""
        task = asyncio.current_task()
        assert task is not None
        self._idle.add(task)
        try:
            if self._draining:
                task.cancel()
            return await wait
        finally:
            self._idle.discard(task)

    async def drain(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for every task that is not idle, then cancel the rest."""
        self._draining = True
        for task in self._idle:
            task.cancel()
        try:
            if self._tasks:
                _, late = await asyncio.wait(set(self._tasks), timeout=timeout)
                for task in late:
                    task.cancel()
        finally:
            self._draining = False


_daemon = TaskSet()
spawn = _daemon.spawn
drain = _daemon.drain
idle = _daemon.idle


async def complete(work: Coroutine[Any, Any, T], name: str) -> T:
    """The result of work that is done to its end even when the caller is cancelled, who is told only then."""
    task = spawn(work, name, awaited=True)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        raise


def apart(work: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """The result of `work` in a thread of its own that nobody waits for at the end of the process: for file systems
    that may never answer (FUSE, NFS), which must not take away the threads of others.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen: its awaiter may have left

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as failure:  # noqa: BLE001  raised where the future is awaited
            error = failure
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    threading.Thread(target=run, name=name, daemon=True).start()
    return future

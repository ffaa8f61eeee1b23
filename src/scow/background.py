"""The one place that starts asyncio tasks: each has a name, is kept until done, and a failure is logged, never lost."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from scow.errors import ScowError

_log = logging.getLogger("scow.background")
T = TypeVar("T")


class TaskSet:
    """Tasks of one owner, who closes them with itself."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

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

    async def drain(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for every task, then cancel the rest."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=timeout)
            for task in late:
                task.cancel()


_daemon = TaskSet()
spawn = _daemon.spawn
drain = _daemon.drain


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

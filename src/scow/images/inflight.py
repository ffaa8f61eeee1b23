"""Shared work: whoever asks for the same thing at the same time waits for one execution."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from scow.images.background import spawn

T = TypeVar("T")
_log = logging.getLogger("scow.images")


class InFlight(Generic[T]):
    """Runs at most one task per key. The task is cancelled when the last who waited for it is."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, tuple[asyncio.Task[T], list[object]]] = {}

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
        """The result of the running work for `key`, or of `work()` when there is none."""
        if key not in self._tasks:
            task = spawn(work(), name)
            task.add_done_callback(lambda done: self._forget(key, done))
            self._tasks[key] = (task, [])
        task, waiters = self._tasks[key]
        me = object()
        waiters.append(me)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            waiters.remove(me)
            if not waiters and not task.done():
                task.cancel()
                await asyncio.wait([task])  # what it cleans up is gone when the caller goes on
            raise

    def _forget(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        self._tasks.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            _log.debug("%s: %s", task.get_name(), task.exception())

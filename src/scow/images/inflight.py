"""Shared work: whoever asks for the same thing at the same time waits for one execution."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from scow.background import spawn

T = TypeVar("T")
_log = logging.getLogger("scow.images")


@dataclass(slots=True)
class _Running(Generic[T]):
    task: asyncio.Task[T]
    waiters: int = 0


class InFlight(Generic[T]):
    """Runs at most one task per key. The task is cancelled when the last who waited for it is."""

    def __init__(self) -> None:
        self._running: dict[Hashable, _Running[T]] = {}

    def waiters(self, key: Hashable) -> int:
        """How many wait for the work of `key`."""
        return self._running[key].waiters if key in self._running else 0

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
        """The result of the running work for `key`, or of `work()` when there is none."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = _Running(spawn(work(), name, awaited=True))
            running.task.add_done_callback(lambda task: self._ended(key, task))
        running.waiters += 1
        try:
            return await asyncio.shield(running.task)
        except asyncio.CancelledError:
            if running.waiters == 1 and not running.task.done():
                self._forget(key, running.task)  # who comes now begins anew: this task is lost
                running.task.cancel()
                await asyncio.wait([running.task])  # what it cleans up is gone when the caller goes on
            raise
        finally:
            running.waiters -= 1

    def _ended(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        self._forget(key, task)
        if not task.cancelled() and task.exception() is not None:
            _log.debug("%s: %s", task.get_name(), task.exception())

    def _forget(self, key: Hashable, task: "asyncio.Task[T]") -> None:
        running = self._running.get(key)
        if running is not None and running.task is task:
            del self._running[key]

"""The loop's own keeper of background work in this package (the engine's is above it)."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

_log = logging.getLogger("scow.supervisor")
T = TypeVar("T")
_tasks: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, T], name: str, *, awaited: bool = False) -> "asyncio.Task[T]":
    """Run `work` in the background; the task is kept until done. A failure is logged unless its result is `awaited`."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _tasks.add(task)
    task.add_done_callback(_forget if awaited else _report)
    return task


def _forget(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # marks it as seen: its awaiter may have been cancelled


def _report(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and task.exception() is not None:
        _log.error("background task %s failed", task.get_name(), exc_info=task.exception())

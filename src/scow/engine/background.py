"""The one place that starts asyncio tasks: each has a name, is kept until done, and a failure is logged, never lost."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("scow.background")
_tasks: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Run `work` in the background of the running loop."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _tasks.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        _log.error("background task %s failed", task.get_name(), exc_info=error)


async def drain(timeout: float) -> None:
    """Wait up to `timeout` seconds for every background task, then cancel the rest."""
    if not _tasks:
        return
    _, late = await asyncio.wait(set(_tasks), timeout=timeout)
    for task in late:
        task.cancel()

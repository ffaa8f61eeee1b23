"""The one place of the image store that starts tasks: each has a name and is kept until it is done.

The engine's own keeper lies above this package; failures here always reach whoever waits for the task.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_tasks: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run `work` in the running loop."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def complete(work: Coroutine[Any, Any, T], name: str) -> T:
    """The result of work that is done to its end even when the caller is cancelled, who is told only then."""
    task = spawn(work, name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        raise

"""A container that stands still while something reads its files, and goes on afterwards, whatever happens to the daemon.

A mark in the container's directory says that the pause is ours: a daemon that is killed meanwhile leaves it, and the next
one takes the pause back.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scow.background import complete
from scow.engine.containers import files, pause
from scow.engine.context import Engine
from scow.engine.registry import Entry
from scow.errors import Conflict, ScowError

_MARK = "frozen"


@asynccontextmanager
async def frozen(engine: Engine, entry: Entry) -> AsyncIterator[None]:
    """Paused inside, if it runs and is not paused anyway. Several at once share one pause, which the last takes back."""
    still = entry.standstill
    async with still.lock:
        if not still.users:
            still.ours = await _freeze(engine, entry)
        still.users += 1
    try:
        yield
    finally:
        await complete(_leave(engine, entry), f"thaw-{entry.container.id[:12]}")


async def _freeze(engine: Engine, entry: Entry) -> bool:
    """Whether it is we who have paused it."""
    if entry.task is None or entry.container.status.state == "paused":
        return False
    mark = _mark(engine, entry)
    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    try:
        await pause.pause(engine, entry.container.id)
    except BaseException as error:
        _remove(mark)
        if isinstance(error, Conflict):  # it has ended, or somebody has paused it meanwhile
            return False
        raise
    return True


async def _leave(engine: Engine, entry: Entry) -> None:
    still = entry.standstill
    async with still.lock:
        still.users -= 1
        if still.users or not still.ours:
            return
        still.ours = False
        try:
            await thaw(engine, entry)
        finally:
            _remove(_mark(engine, entry))


async def thaw(engine: Engine, entry: Entry) -> None:
    """Let it go on; no error when it does so already or has ended."""
    try:
        await pause.unpause(engine, entry.container.id)
    except ScowError:
        if entry.container.status.state == "paused":
            raise


async def recover(engine: Engine, entry: Entry) -> None:
    """At start: take back a pause that a killed daemon has left."""
    mark = _mark(engine, entry)
    if not os.path.lexists(mark):
        return
    if entry.task is not None and entry.container.status.state == "paused":
        await thaw(engine, entry)
    elif entry.task is not None:  # killed between the freeze and its record
        await entry.task.freeze(False)
    _remove(mark)


def _mark(engine: Engine, entry: Entry) -> str:
    return f"{files.directory(engine, entry.container.id)}/{_MARK}"


def _remove(mark: str) -> None:
    try:
        os.unlink(mark)
    except FileNotFoundError:
        pass

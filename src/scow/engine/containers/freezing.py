"""A container that stands still while something reads its files, and goes on afterwards, whatever happens to the daemon.

A mark in the container's directory says that the pause is ours: a daemon that is killed meanwhile leaves it, and the next
one takes the pause back.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scow.engine.containers import files, pause
from scow.engine.context import Engine
from scow.engine.registry import Entry
from scow.errors import Conflict, ScowError

_MARK = "frozen"


@asynccontextmanager
async def frozen(engine: Engine, entry: Entry) -> AsyncIterator[None]:
    """Paused inside, if it runs and is not paused anyway."""
    container_id = entry.container.id
    mark = f"{files.directory(engine, container_id)}/{_MARK}"
    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    try:
        try:
            await pause.pause(engine, container_id)
            ours = True
        except Conflict:  # it does not run, or somebody has paused it
            ours = False
        try:
            yield
        finally:
            if ours:
                await thaw(engine, entry)
    finally:
        _remove(mark)


async def thaw(engine: Engine, entry: Entry) -> None:
    """Let it go on; no error when it does so already or has ended."""
    try:
        await pause.unpause(engine, entry.container.id)
    except ScowError:
        if entry.container.status.state == "paused":
            raise


async def recover(engine: Engine, entry: Entry) -> None:
    """At start: take back a pause that a killed daemon has left."""
    mark = f"{files.directory(engine, entry.container.id)}/{_MARK}"
    if not os.path.lexists(mark):
        return
    if entry.task is not None and entry.container.status.state == "paused":
        await thaw(engine, entry)
    elif entry.task is not None:  # killed between the freeze and its record
        await entry.task.freeze(False)
    _remove(mark)


def _remove(mark: str) -> None:
    try:
        os.unlink(mark)
    except FileNotFoundError:
        pass

"""Pause and unpause by the freezer."""

from dataclasses import replace

from scow.engine.containers import happenings, health
from scow.engine.context import Engine
from scow.errors import Conflict
from scow.model import transitions


async def pause(engine: Engine, name: str) -> None:
    """Freeze every process. Conflict unless it runs."""
    entry = engine.containers.find(name)
    async with entry.lock:
        status = entry.container.status
        if status.state == "paused":
            raise Conflict(f"Container {entry.container.id} is already paused")
        if status.state == "restarting":
            raise Conflict(f"Container {entry.container.id} is restarting, wait until the container is running")
        if entry.task is None:
            raise Conflict(f"Container {entry.container.id} is not running")
        await entry.task.freeze(True)
        status = entry.container.status
        engine.containers.set_status(entry, replace(status, state=transitions.advance(status, "pause")))
        health.end(engine, entry)
        await engine.containers.save(entry)
    happenings.publish(engine, entry.container, "pause")


async def unpause(engine: Engine, name: str) -> None:
    """Thaw. Conflict unless it is paused."""
    entry = engine.containers.find(name)
    async with entry.lock:
        status = entry.container.status
        if status.state != "paused" or entry.task is None:
            raise Conflict(f"Container {entry.container.id} is not paused")
        await entry.task.freeze(False)
        status = entry.container.status
        engine.containers.set_status(entry, replace(status, state=transitions.advance(status, "unpause")))
        health.resume(engine, entry)
        await engine.containers.save(entry)
    happenings.publish(engine, entry.container, "unpause")

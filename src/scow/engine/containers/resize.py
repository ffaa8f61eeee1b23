"""Resize a container's terminal."""

from scow.engine.containers import happenings
from scow.engine.context import Engine
from scow.errors import Conflict


async def resize(engine: Engine, name: str, height: int, width: int) -> None:
    """Characters. Conflict when it does not run."""
    entry = engine.containers.find(name)
    await entry.settled()
    if entry.task is None:
        raise Conflict(f"container {entry.container.id} is not running")
    await entry.task.resize(height, width)
    happenings.publish(engine, entry.container, "resize", height=str(height), width=str(width))

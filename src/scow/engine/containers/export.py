"""Export: a container's whole file system as one archive."""

from collections.abc import AsyncIterator
from functools import partial

from scow.engine.context import Engine
from scow.errors import Conflict
from scow.images import outlet


async def export(engine: Engine, name: str) -> AsyncIterator[bytes]:
    """The archive piece by piece. What is mounted into the container is not in it; it may run meanwhile."""
    container = engine.containers.find(name).container
    if container.status.state in ("dead", "removing"):
        state = "Dead" if container.status.state == "dead" else "being removed"
        raise Conflict(f"You cannot export container {container.id} which is {state}")
    work = partial(engine.snapshots.write_whole, container.id, container.layers)
    stream = outlet.pieces(work, f"export-{container.id[:12]}")
    try:
        async for piece in stream:
            yield piece
    finally:
        await stream.aclose()
    if container.id not in engine.containers:
        raise Conflict(f"container {container.id} was removed while it was exported")

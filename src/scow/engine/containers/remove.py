"""Remove: first the record durably, then all that belonged to it; what a crash leaves over is swept at the next
start.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scow.engine.containers import ending, files, happenings, stop
from scow.engine.context import Engine
from scow.engine.networks import links
from scow.engine.registry import Entry
from scow.errors import Conflict, ScowError
from scow.model import transitions


async def remove(engine: Engine, name: str, force: bool = False, volumes: bool = False, link: bool = False) -> None:
    """`force` kills it first; `volumes` removes its anonymous volumes too. `link`: the name is a link's
    (PARENT/ALIAS), and nothing but that is removed.
    """
    if link:
        await links.unlink(engine, name)
        return
    entry = engine.containers.find(name)
    if not entry.removing:
        await entry.settled()  # what starts just now runs, and is not taken away without force
    if entry.removing:
        raise Conflict(f"removal of container {name} is already in progress")
    status = entry.container.status
    if entry.running and not force:
        if status.state == "paused":
            raise Conflict(
                f'cannot remove container "/{entry.container.name}": container is paused and must be unpaused first'
            )
        raise Conflict(
            f'cannot remove container "/{entry.container.name}": container is running: '
            "stop the container before removing or force remove"
        )
    if status.state == "restarting":
        if not force:
            raise Conflict(
                f'cannot remove container "/{entry.container.name}": container is restarting: '
                "stop the container before removing or force remove"
            )
        ending.cancel_restart(engine, entry)
    entry.removing = True
    try:
        if entry.running:
            await stop.halt(engine, entry, 0, 9)
        async with entry.lock:
            await take_away(engine, entry, volumes=volumes or entry.container.host.auto_remove)
    except BaseException:
        entry.removing = False
        raise


async def take_away(engine: Engine, entry: Entry, *, volumes: bool) -> None:
    """All of a container that does not run. The caller holds the lock."""
    container = entry.container
    if container.id not in engine.containers:
        return
    entry.removing = True
    if container.status.state != "removing":
        engine.containers.set_status(
            entry, replace(container.status, state=transitions.advance(container.status, "remove"))
        )
    for attachment in entry.pending:
        attachment.connection.close()
    entry.pending.clear()
    await ending.kept(entry)
    await asyncio.gather(engine.containers.discard(entry), engine.supervisor.forget(container.id))
    await engine.snapshots.remove(container.id)
    gone = files.take_away(engine, container.id)
    if volumes:
        await _remove_anonymous(engine, entry)
    happenings.publish(engine, container, "destroy")
    ending.settle(entry.exits, container.status.exit_code)
    ending.settle(entry.removals, container.status.exit_code)
    await asyncio.to_thread(
        files.delete, gone
    )  # its log may be large: who waits for the container does not wait for that


async def _remove_anonymous(engine: Engine, entry: Entry) -> None:
    used = {point.name for other in engine.containers for point in other.container.mount_points if point.name}
    for point in entry.container.mount_points:
        if point.kind != "volume" or point.name in used:
            continue
        try:
            if engine.volumes.get(point.name).anonymous:
                await engine.volumes.remove(point.name)
        except ScowError:
            continue


async def prune(engine: Engine, filters: Mapping[str, Sequence[str]]) -> tuple[list[str], int]:
    """Remove every stopped container that the filters (until, label, label!) allow; (ids, bytes freed)."""
    from scow.engine.containers import query

    allowed = query.prune_filter(engine, filters)
    deleted, freed = [], 0
    for entry in engine.containers:
        if entry.running or entry.removing or entry.container.status.state not in ("created", "exited", "dead"):
            continue
        if not allowed(entry.container):
            continue
        size = await engine.snapshots.usage(entry.container.id)
        try:
            await remove(engine, entry.container.id)
        except ScowError:
            continue
        deleted.append(entry.container.id)
        freed += size
    happenings.publish_prune(engine, "container", freed)
    return deleted, freed

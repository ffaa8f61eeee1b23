"""Diff: what a container changed against its image, by Docker's rules."""

import asyncio
from dataclasses import dataclass

from scow.engine.context import Engine

# made by the engine and its runtime in a root that lacks them
MOUNT_POINTS = (
    "/.dockerenv",
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/sbin/docker-init",
    "/sys",
)


@dataclass(frozen=True, slots=True)
class Change:
    """`path` is absolute in the container; kind 0 modified, 1 added, 2 deleted."""

    path: str
    kind: int


async def diff(engine: Engine, name: str) -> list[Change]:
    """Sorted by path. Mount points that the engine made for itself are not shown; those of volumes are, as in Docker."""
    container = engine.containers.find(name).container
    found = await asyncio.to_thread(engine.snapshots.changes, container.id, container.layers, MOUNT_POINTS)
    return [Change(path, kind) for path, kind in found]

"""Diff: what a container changed against its image, by Docker's rules for overlay layers."""

import asyncio
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from scow.engine.context import Engine

MODIFIED, ADDED, DELETED = 0, 1, 2
# made by the runtime in a root that lacks them
_MOUNT_POINTS = (
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
    """Sorted by path. Mount points that the engine made are not shown."""
    container = engine.containers.find(name).container
    lowers, upper, _ = engine.snapshots.directories(container.id, container.layers)
    hidden = set(_MOUNT_POINTS)
    hidden.update(point.target for point in container.mount_points)
    return await asyncio.to_thread(changes, upper, lowers, frozenset(hidden))


def changes(upper: str, lowers: Sequence[str], hidden: frozenset[str] = frozenset()) -> list[Change]:
    """Compare an overlay's upper directory with its lower ones (top first). Links are never followed."""
    found: dict[str, int] = {}
    _walk(upper, "", lowers, False, hidden, found)
    return [Change(path, kind) for path, kind in sorted(found.items())]


def _walk(
    upper: str, path: str, lowers: Sequence[str], opaque: bool, hidden: frozenset[str], found: dict[str, int]
) -> None:
    with os.scandir(upper + path) as entries:
        items = sorted(entries, key=lambda entry: entry.name)
    for entry in items:
        child = f"{path}/{entry.name}"
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            if child not in hidden:
                _record(child, DELETED, found)
            continue
        below = None if opaque else _lower(lowers, child)
        if stat.S_ISDIR(info.st_mode):
            hides = opaque or _is_opaque(upper + child)
            before = len(found)
            _walk(upper, child, lowers, hides, hidden, found)
            same = below is not None and stat.S_ISDIR(below.st_mode) and _same_directory(info, below)
            if below is None and not (child in hidden or _only_hidden(child, hidden, len(found) == before)):
                _record(child, ADDED, found)
            elif (
                below is not None
                and not same
                and child not in hidden
                and not _only_hidden(child, hidden, len(found) == before)
            ):
                _record(child, MODIFIED, found)
        elif child not in hidden:
            _record(child, ADDED if below is None else MODIFIED, found)


def _only_hidden(path: str, hidden: frozenset[str], nothing_below: bool) -> bool:
    """A directory that exists in the upper layer only because the engine made a mount point in it."""
    return nothing_below and any(target.startswith(path + "/") for target in hidden)


def _record(path: str, kind: int, found: dict[str, int]) -> None:
    """A change makes its parents changed, too."""
    found[path] = kind
    parent = path.rpartition("/")[0]
    while parent and parent not in found:
        found[parent] = MODIFIED
        parent = parent.rpartition("/")[0]


def _same_directory(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_mode, one.st_uid, one.st_gid, one.st_mtime_ns) == (
        other.st_mode,
        other.st_uid,
        other.st_gid,
        other.st_mtime_ns,
    )


def _lower(lowers: Sequence[str], path: str) -> os.stat_result | None:
    """The entry that the lower layers show at `path`, by whiteouts and opaque directories on the way."""
    parts = path.strip("/").split("/")
    for lower in lowers:
        current, gone = lower, False
        for index, part in enumerate(parts):
            current = f"{current}/{part}"
            try:
                info = os.lstat(current)
            except OSError:
                break
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                return None
            if index == len(parts) - 1:
                return info
            if not stat.S_ISDIR(info.st_mode):
                return None
            gone = gone or _is_opaque(current)
        if gone:
            return None
    return None


def _is_opaque(path: str) -> bool:
    try:
        return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False

"""Control groups of both generations behind one face.

`create` and `open` pick the implementation by what is mounted at /sys/fs/cgroup: version 2 alone, or version 1 (with
the unified hierarchy beside it where there is one).
"""

import os
from collections.abc import Mapping
from typing import Any, Protocol

from scow.errors import InvalidArgument, Unsupported
from scow.linux import libc
from scow.linux.cgroup_files import ROOT, clean
from scow.linux.cgroup_v1 import CgroupV1
from scow.linux.cgroup_v2 import CgroupV2

_CGROUP2 = 0x63677270


class Cgroup(Protocol):
    """One container's cgroup in every hierarchy. Lifecycle: create (or open), add any number of times, remove."""

    path: str
    version: int

    def complete(self) -> None:
        """Do what a deferred `create` has left: once, and before any process runs inside."""

    def add(self, pid: int) -> None:
        """Move a process in."""

    def pids(self) -> list[int]:
        """Every process, also of cgroups below."""

    def freeze(self, frozen: bool) -> None:
        """Stop or continue every process; returns when it is so."""

    def kill(self) -> None:
        """SIGKILL to every process, frozen or not. Does not wait for their end."""

    def remove(self) -> None:
        """Remove the cgroup and those below it; what still runs inside is killed first. Missing ones are fine."""

    def directory(self) -> int:
        """A new fd of the unified hierarchy's directory for clone(cgroup=…), or -1 where there is none."""

    def join(self, born_inside: bool) -> None:
        """Move the calling process, which has one thread, in. `born_inside`: clone(cgroup=…) has done the unified part.

        In version 1 this is much faster than `add`: a thread that moves itself needs no grace period of the kernel's.
        """

    def beside(self, pid: int) -> "Cgroup":
        """Where one more process goes, in a container with the process `pid`: here, unless version 2 allows processes only
        below, because the container has divided its cgroup; then where that one is.
        """

    def views(self) -> list[tuple[str, str]]:
        """What a container sees: (name below /sys/fs/cgroup, host directory); the name is "" for version 2."""

    def oom_kills(self) -> int:
        """How many processes the kernel has killed here for lack of memory."""

    def oom_event_fd(self) -> int | None:
        """An fd that polls ready (POLLIN in version 1, POLLPRI in version 2) on a new kill; None where there is none."""

    def update(self, resources: Mapping[str, Any]) -> None:
        """Apply limits (not devices) of a spec's linux.resources. InvalidArgument names what the kernel refuses."""

    def stats(self) -> dict[str, Any]:
        """Raw figures: memory, cpu (nanoseconds), pids, blkio."""


def is_v2() -> bool:
    """Whether the machine has version 2 alone."""
    global _version2
    if _version2 is None:
        fd = libc.open_at(libc.AT_FDCWD, ROOT, libc.O_PATH)
        try:
            _version2 = libc.filesystem_magic(fd) == _CGROUP2
        finally:
            os.close(fd)
    return _version2


_version2: bool | None = None


def _check_numbers(value: Any) -> None:
    """No number of a spec may be beyond 64 bits: some control files silently take it for "no limit"."""
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidArgument(f"resource value {value} is out of range")
    elif isinstance(value, Mapping):
        for item in value.values():
            _check_numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_numbers(item)


_UNSUPPORTED = {
    "": ("network", "rdma"),
    "memory": ("kernel", "kernelTCP"),
    "blockIO": ("leafWeight", "weightDevice"),
}
_ONLY_V1 = {"memory": ("swappiness", "disableOOMKiller"), "cpu": ("realtimePeriod", "realtimeRuntime")}


def _refuse_unsupported(resources: Mapping[str, Any], version2: bool) -> None:
    """Unsupported, by name, for a limit that would otherwise be ignored."""
    tables = [(_UNSUPPORTED, "scow"), *([(_ONLY_V1, "cgroup version 2")] if version2 else [])]
    for table, who in tables:
        for section, keys in table.items():
            part = resources.get(section) or {} if section else resources
            for key in keys:
                if part.get(key):
                    raise Unsupported(f"{who} does not support the limit {section}{'.' if section else ''}{key}")


def create(path: str, resources: Mapping[str, Any], *, deferred: bool = False) -> Cgroup:
    """Make the cgroup `path` with a spec's linux.resources (devices included). On failure nothing of it is left.

    deferred: only what a clone into the cgroup needs is made; `launch` calls `complete` for the rest while the child
    works, and the errors come from there.
    """
    relative = clean(path)
    _check_numbers(resources)
    _refuse_unsupported(resources, is_v2())
    made: CgroupV1 | CgroupV2 = CgroupV2(relative) if is_v2() else CgroupV1(relative)
    try:
        made.begin(resources)
        if not deferred:
            made.complete()
    except BaseException:
        made.remove()
        raise
    return made


def open(path: str) -> Cgroup:
    """A cgroup that was made earlier, perhaps by another process."""
    relative = clean(path)
    return CgroupV2(relative) if is_v2() else CgroupV1(relative)

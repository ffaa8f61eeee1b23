"""The mounts of a container in the order in which they are made."""

import os
from collections.abc import Sequence
from typing import Any

from scow.model.container import Container, HostConfig
from scow.model.mounts import MountPoint

_SHM_DEFAULT = 64 << 20
PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def system_mounts(container: Container, shm_source: str | None, mqueue: bool) -> list[dict[str, Any]]:
    """proc, dev, sys, … as every container has them. `shm_source`: a host path to share as /dev/shm, None for an
    own one.
    """
    host = container.host
    access = "rw" if host.privileged else "ro"
    mounts = [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
        ),
        _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", access),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", access, "nosuid", "noexec", "nodev"),
    ]
    if mqueue:
        mounts.append(_mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"))
    if host.ipc_mode == "none":
        pass  # no shared memory at all
    elif shm_source is None:
        size = host.shm_size or _SHM_DEFAULT
        mounts.append(_mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", f"size={size}"))
    else:
        mounts.append(_mount("/dev/shm", "bind", shm_source, "rbind", "rprivate", "nosuid", "noexec", "nodev"))
    return mounts


def user_mounts(container: Container, directory: str) -> list[dict[str, Any]]:
    """What was asked for, and the files of names over it: parents before children, so that none is covered."""
    found = [*(_user_mount(point) for point in container.mount_points), *_name_files(container, directory)]
    return sorted(found, key=lambda mount: (mount["destination"].count("/"), mount["destination"]))


def _user_mount(point: MountPoint) -> dict[str, Any]:
    if point.kind == "tmpfs":
        return _mount(point.target, "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", *_tmpfs_options(point.options))
    options = ["rbind", point.propagation or "rprivate", *(["ro"] if point.read_only else [])]  # else as on the host
    return _mount(point.target, "bind", point.source, *options)


def _tmpfs_options(options: Sequence[str]) -> list[str]:
    return [option for option in options if option]


def _name_files(container: Container, directory: str) -> list[dict[str, Any]]:
    """/etc/resolv.conf, /etc/hostname and /etc/hosts, unless the user mounts his own there."""
    taken = {point.target for point in container.mount_points}
    access = "ro" if container.host.read_only_rootfs else "rw"
    return [
        _mount(target, "bind", os.path.join(directory, name), "rbind", "rprivate", access)
        for target, name in (
            ("/etc/resolv.conf", "resolv.conf"),
            ("/etc/hostname", "hostname"),
            ("/etc/hosts", "hosts"),
        )
        if target not in taken
    ]


def rootfs_propagation(host: HostConfig, points: Sequence[MountPoint]) -> str:
    """The root must be able to pass on what a mount with shared or slave propagation asks for."""
    words = {point.propagation for point in points}
    if words & {"shared", "rshared"}:
        return "shared"
    if words & {"slave", "rslave"}:
        return "slave"
    return "rprivate"

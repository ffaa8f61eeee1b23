"""Device nodes and the device cgroup's rules."""

import os
import stat
from typing import Any

from scow.errors import InvalidArgument, NotFound
from scow.model.container import HostConfig


def devices(host: HostConfig) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(linux.devices, linux.resources.devices)."""
    if host.privileged:
        return [_node(path, path) for path in _host_devices("/dev")], [{"allow": True, "access": "rwm"}]
    # every runtime adds the rules of the devices that each container has
    nodes: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for device in host.devices:
        for source, target in _expand(device.source, device.target):
            node = _node(source, target)
            nodes.append(node)
            rules.append(
                {
                    "allow": True,
                    "type": node["type"],
                    "major": node["major"],
                    "minor": node["minor"],
                    "access": device.permissions or "rwm",
                }
            )
    rules.extend(rule(text) for text in host.device_cgroup_rules)
    return nodes, rules


def rule(text: str) -> dict[str, Any]:
    """`c 1:3 rwm`, `b *:* m`, `a`."""
    words = text.split()
    try:
        kind, numbers, access = words
        major, minor = numbers.split(":")
        entry: dict[str, Any] = {"allow": True, "type": kind, "access": access}
        if major != "*":
            entry["major"] = int(major)
        if minor != "*":
            entry["minor"] = int(minor)
        if kind not in ("a", "b", "c") or not access or set(access) - set("rwm"):
            raise ValueError(text)
    except ValueError:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'") from None
    return entry


def _expand(source: str, target: str) -> list[tuple[str, str]]:
    """A directory of devices stands for every device below it."""
    if os.path.isdir(source):
        found = _host_devices(source)
        if not found:
            raise InvalidArgument(f"no device found below {source}")
        return [(path, target + path[len(source) :]) for path in found]
    return [(source, target)]


def _node(source: str, target: str) -> dict[str, Any]:
    try:
        info = os.stat(source)
    except OSError:
        raise NotFound(
            f'error gathering device information while adding custom device "{source}": no such file or directory'
        ) from None
    if stat.S_ISCHR(info.st_mode):
        kind = "c"
    elif stat.S_ISBLK(info.st_mode):
        kind = "b"
    else:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": not a device node'
        )
    return {
        "path": target,
        "type": kind,
        "major": os.major(info.st_rdev),
        "minor": os.minor(info.st_rdev),
        "fileMode": stat.S_IMODE(info.st_mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
    }


def _host_devices(directory: str) -> list[str]:
    """Every device node below, without what a container has of its own (pts, shm, mqueue, console)."""
    found: list[str] = []
    for entry in sorted(os.scandir(directory), key=lambda item: item.name):
        if entry.name in ("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"):
            continue
        if entry.is_dir(follow_symlinks=False):
            found.extend(_host_devices(entry.path))
        elif not entry.is_symlink() and (
            stat.S_ISCHR(entry.stat(follow_symlinks=False).st_mode)
            or stat.S_ISBLK(entry.stat(follow_symlinks=False).st_mode)
        ):
            found.append(entry.path)
    return found

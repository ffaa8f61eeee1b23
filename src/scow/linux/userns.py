"""User namespaces: their id maps, and one without processes for idmapped mounts."""

import os
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from scow.errors import InvalidArgument
from scow.linux import libc

_MAPS = (("uid_map", "uidMappings"), ("gid_map", "gidMappings"))


def write_maps(pid: int, mappings: Mapping[str, Any]) -> None:
    """Write the maps of the user namespace that `pid` has just made, from a spec's uidMappings and gidMappings."""
    for name, key in _MAPS:
        lines = [f"{item['containerID']} {item['hostID']} {item['size']}\n" for item in mappings.get(key) or ()]
        if not lines:
            raise InvalidArgument(f"a user namespace needs {key}")
        fd = libc.open_at(libc.AT_FDCWD, f"/proc/{pid}/{name}", os.O_WRONLY)
        try:
            os.write(fd, "".join(lines).encode())
        finally:
            os.close(fd)


def make(mappings: Mapping[str, Any]) -> int:
    """An fd of a new user namespace with these maps, in which no process is. The caller has one thread."""
    pid, pidfd = libc.clone(libc.CLONE_NEWUSER)
    if pid == 0:
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        while True:
            signal.pause()
    os.close(pidfd)
    try:
        write_maps(pid, mappings)
        return libc.open_at(libc.AT_FDCWD, f"/proc/{pid}/ns/user", os.O_RDONLY)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def host_id(mappings: Iterable[Mapping[str, int]], number: int) -> int:
    """What an id inside is outside. InvalidArgument when the map does not have it."""
    for item in mappings:
        offset = number - item["containerID"]
        if 0 <= offset < item["size"]:
            return item["hostID"] + offset
    raise InvalidArgument(f"id {number} has no place in the id map of the user namespace")

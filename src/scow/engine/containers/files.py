"""The files of a container that lie where Docker's lie: <data-root>/containers/<id>/."""

import os
import shutil
from collections.abc import Container

from scow.engine.context import Engine

_REMOVED = ".removed"
_ID_LENGTH = 64
_LONGEST = 1 << 20  # of a text that a container has put in the place of ours


def directory(engine: Engine, container_id: str) -> str:
    """Log, exported config, hosts, hostname, resolv.conf."""
    return f"{engine.settings.data_root}/containers/{container_id}"


def log_path(engine: Engine, container_id: str) -> str:
    """The json-file's place."""
    return f"{directory(engine, container_id)}/{container_id}-json.log"


def write_file(path: str, text: str) -> None:
    """Replace a file in place of the same inode when it exists: a running container may have it mounted. It is never seen
    empty, nor left so by a kill: what the old text was longer by becomes empty lines, which are then cut off.
    """
    data = text.encode()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        left = memoryview(data.ljust(min(os.fstat(fd).st_size, _LONGEST), b"\n"))
        while left:
            left = left[os.write(fd, left) :]
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def take_away(engine: Engine, container_id: str) -> str:
    """Give the directory a name under which nobody looks for it, at once and whole, so that nothing is written into it
    while it is deleted; "" when there is none. `delete` does the rest.
    """
    path = directory(engine, container_id)
    try:
        os.rename(path, path + _REMOVED)
    except FileNotFoundError:
        return ""
    return path + _REMOVED


def delete(path: str) -> None:
    """Delete what `take_away` named. A log may be large, and its deletion slow."""
    if path:
        shutil.rmtree(path, ignore_errors=True)


def remove(engine: Engine, container_id: str) -> None:
    """Both at once, for directories without a log; no error if there is none."""
    delete(take_away(engine, container_id))


def sweep(engine: Engine, keep: Container[str]) -> list[str]:
    """At start: take away what a create or a remove that was cut off has left. The result is for `delete`."""
    root = f"{engine.settings.data_root}/containers"
    names = os.listdir(root)
    gone = [f"{root}/{name}" for name in names if name.endswith(_REMOVED)]
    return gone + [take_away(engine, name) for name in names if len(name) == _ID_LENGTH and name not in keep]

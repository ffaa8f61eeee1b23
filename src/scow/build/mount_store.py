"""Directories of RUN --mount=type=cache: they outlive their builds, and are no part of any image.

<root>/<sha256 of the id>/data   what is mounted      …/about   {"id", "made_at"}
"""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from scow.background import complete
from scow.build.unused import remove_unused
from scow.images.blobs import write_file

TYPE = "exec.cachemount"


@dataclass(frozen=True, slots=True)
class CacheMount:
    """One of them. `size` in bytes, times in Unix nanoseconds."""

    name: str
    id: str
    size: int
    made_at: int
    used_at: int
    in_use: bool


class MountStore:
    """All of one data root."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()
        self._making = threading.Lock()

    @asynccontextmanager
    async def use(
        self, id_: str, sharing: str, mode: int, uid: int, gid: int, now: int, fill: Callable[[], str] | None = None
    ) -> Any:
        """The directory while somebody uses it. `locked` waits for the others; `private` has one of its own meanwhile.

        `fill` gives (in a thread) a directory whose files a new one begins with.
        """

        async def made(path: str) -> str:
            return await asyncio.to_thread(self._make, path, id_, mode, uid, gid, now, fill)

        name = hashlib.sha256(id_.encode("utf-8", "surrogateescape")).hexdigest()
        if sharing == "private" and self._users[name]:
            path = f"{self._root}/.private-{secrets.token_hex(8)}"
            try:
                yield await complete(made(path), "cache-mount")
            finally:
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            return
        lock = self._locks.setdefault(name, asyncio.Lock()) if sharing == "locked" else None
        if lock is not None:
            await lock.acquire()
        self._users[name] += 1
        try:
            yield await complete(made(f"{self._root}/{name}"), "cache-mount")
        finally:
            self._users[name] -= 1
            if lock is not None:
                lock.release()

    def _make(
        self, path: str, id_: str, mode: int, uid: int, gid: int, now: int, fill: Callable[[], str] | None
    ) -> str:
        """The directory to mount, made when it is not there. One at a time: two steps may want a new one."""
        data = f"{path}/data"
        with self._making:
            if not os.path.exists(f"{path}/about"):
                shutil.rmtree(data, ignore_errors=True)
                os.makedirs(path, exist_ok=True)
                if fill is None:
                    os.mkdir(data)
                else:
                    shutil.move(fill(), data)
                os.chown(data, uid, gid)
                os.chmod(data, mode)
                write_file(f"{path}/about", json.dumps({"id": id_.partition("\0")[0], "made_at": now}).encode())
            os.utime(f"{path}/about", ns=(now, now))
        return data

    def all(self) -> Iterator[CacheMount]:
        """In a thread: what there is."""
        if not os.path.isdir(self._root):
            return
        for name in sorted(os.listdir(self._root)):
            path = f"{self._root}/{name}"
            try:
                with open(f"{path}/about", encoding="utf-8") as stream:
                    about = json.load(stream)
                used_at = os.stat(f"{path}/about").st_mtime_ns
            except (OSError, ValueError):
                continue
            yield CacheMount(name, about["id"], _size(f"{path}/data"), about["made_at"], used_at, self._users[name] > 0)

    def remove(self, name: str) -> bool:
        """See unused.remove_unused."""
        return remove_unused(self._root, name, self._users, self._making)

    def sweep(self) -> None:
        """At start: what a crash has left half made or half removed."""
        if not os.path.isdir(self._root):
            return
        for name in os.listdir(self._root):
            if name.startswith(".") or not os.path.exists(f"{self._root}/{name}/about"):
                shutil.rmtree(f"{self._root}/{name}", ignore_errors=True)


def _size(path: str) -> int:
    total = 0
    for _, _, files, fd in os.fwalk(path):
        for name in files:
            with _gone():
                total += os.stat(name, dir_fd=fd, follow_symlinks=False).st_blocks * 512
    return total


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        pass

"""The local driver: a volume is the directory <root>/<name>/_data, where Docker's tools look for it."""

import asyncio
import logging
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial

from scow.background import apart, complete
from scow.errors import Conflict, InvalidArgument, NotFound, ResourceExhausted, ScowError
from scow.metadata import volumes as tables
from scow.metadata.database import Database
from scow.model.volume import Volume
from scow.volumes import attached
from scow.volumes.fill import fill, finish_interrupted
from scow.volumes.usage import bytes_below

_log = logging.getLogger("scow.volumes")
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")
_LONGEST = 255
_TRASH = ".trash-"


class LocalVolumes:
    """Named and anonymous volumes. Reads are from memory; a change is on disk when its call returns.

    The caller decides whether a volume is in use.
    """

    def __init__(self, root: str, database: Database) -> None:
        """`root` is the directory of all volumes; left-overs of a crash in it are put right."""
        self._root = root
        self._database = database
        self._locks: dict[str, asyncio.Lock] = {}
        self._holders: dict[str, set[str]] = {}
        os.makedirs(root, 0o701, exist_ok=True)
        self._volumes = {volume.name: volume for volume in tables.load(database, root)}
        for name in os.listdir(root):
            if name.startswith(_TRASH):
                shutil.rmtree(f"{root}/{name}", ignore_errors=True)
        for volume in self._volumes.values():
            self._directories(volume.name)
            finish_interrupted(f"{root}/{volume.name}")

    async def create(
        self,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Volume:
        """The volume of that name, made if there is none. "" makes an anonymous one with a random name."""
        name = name or secrets.token_hex(32)
        known = self._volumes.get(name)
        if known is not None:
            if options and dict(options) != known.options:
                raise Conflict(f"volume {name} already exists with different options: remove it first")
            return known
        check_name(name)
        attached.check(name, options or {})
        volume = Volume(
            name=name,
            path=f"{self._root}/{name}/_data",
            created_at=time.time_ns(),
            labels=dict(labels or {}),
            options=dict(options or {}),
            anonymous=anonymous,
        )
        try:
            self._directories(name)
        except OSError as error:
            raise ResourceExhausted(f"create {name}: cannot make the directory: {error.strerror}") from error
        self._volumes[name] = volume
        try:
            await tables.insert(self._database, volume)
        except BaseException:
            self._volumes.pop(name, None)
            raise
        return volume

    def get(self, name: str) -> Volume:
        """NotFound says `get NAME: no such volume`."""
        volume = self._volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    def list(self) -> "Sequence[Volume]":
        """All volumes, by name."""
        return sorted(self._volumes.values(), key=lambda volume: volume.name)

    def path(self, name: str) -> str:
        """The data directory of a volume."""
        return self.get(name).path

    async def remove(self, name: str) -> None:
        """Forget the volume and delete its data. Other things in its directory go too."""
        volume = self.get(name)
        async with self._lock(name):
            if volume.options:  # what is mounted there is not the volume's to delete
                await apart(partial(attached.unmount, volume), "unmount")
            del self._volumes[name]
            await tables.delete(self._database, name)
            trash = f"{self._root}/{_TRASH}{secrets.token_hex(8)}"
            try:
                os.rename(f"{self._root}/{name}", trash)
            except FileNotFoundError:
                return
        self._locks.pop(name, None)
        await asyncio.to_thread(shutil.rmtree, trash, ignore_errors=True)

    async def copy_up(self, name: str, lowers: Sequence[str], target: str) -> None:
        """Copy what the image has at `target` into the volume, if that is empty; `lowers` are the image's layer
        directories, top first. All or nothing; a volume with data is never touched (CVE-2020-1726).
        """
        volume = self.get(name)
        directory = os.path.dirname(volume.path)
        if not lowers or volume.options:  # another file system is mounted there when a container runs
            return
        async with self._lock(name):
            await asyncio.to_thread(fill, directory, tuple(lowers), target)

    async def hold(self, name: str, holder: str) -> None:
        """A container that starts has the volume: mount what its options name. NotMounted, not holding it."""
        volume = self.get(name)
        if not volume.options:
            return
        await complete(self._hold(volume, holder), f"mount-{name}")

    async def _hold(self, volume: Volume, holder: str) -> None:
        async with self._lock(volume.name):
            await apart(partial(attached.mount, volume), "mount")
            self._holders.setdefault(volume.name, set()).add(holder)

    def held(self, name: str, holder: str) -> None:
        """As `hold`, for a container that has run since before this process: all is mounted."""
        if name in self._volumes and self._volumes[name].options:
            self._holders.setdefault(name, set()).add(holder)

    async def let_go(self, name: str, holder: str) -> None:
        """A container has ended; the last one's end unmounts. Holding nothing is no error."""
        volume = self._volumes.get(name)
        if volume is None or not volume.options:
            return
        await complete(self._let_go(volume, holder), f"unmount-{name}")

    async def _let_go(self, volume: Volume, holder: str) -> None:
        async with self._lock(volume.name):
            holders = self._holders.get(volume.name, set())
            holders.discard(holder)
            if not holders:
                self._holders.pop(volume.name, None)
                await apart(partial(attached.unmount, volume), "unmount")

    async def let_strangers_go(self) -> None:
        """At start, when all holders are known: unmount what a daemon that was killed has left."""
        for volume in self.list():
            try:
                await self.let_go(volume.name, "")  # nobody's: it only looks whether somebody holds it
            except ScowError as error:
                _log.error("%s", error.message)

    async def usage(self, name: str) -> int:
        """Bytes in the volume; what is mounted over it is not counted."""
        if self.get(name).options:
            return 0
        return await asyncio.to_thread(bytes_below, self.get(name).path)

    def _directories(self, name: str) -> None:
        os.makedirs(f"{self._root}/{name}", 0o701, exist_ok=True)
        if not os.path.isdir(f"{self._root}/{name}/_data"):
            # 0755 root, and what an image brings later replaces it
            os.mkdir(f"{self._root}/{name}/_data", 0o755)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


def check_name(name: str) -> None:
    """A volume's name becomes a directory: one path component of Docker's alphabet, at least two characters."""
    if len(name) == 1 and name in _FIRST:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not name or name[0] not in _FIRST or not _REST.issuperset(name) or len(name) > _LONGEST:
        raise InvalidArgument(
            f'create {name[:_LONGEST]}: "{name[:_LONGEST]}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )

"""Root filesystems of containers: the chain's directories below, one writable directory per container on top.

<data-root>/rw/<container id>/diff   the writable layer      …/work   overlayfs's scratch directory
"""

import contextlib
import logging
import os
import stat
from collections.abc import Mapping, Sequence

from scow.errors import Conflict, NotFound, ResourceExhausted
from scow.images import changes, differ
from scow.images.archive.bound import Bound
from scow.images.archive.writer import Emit
from scow.images.blobs import on_disk
from scow.images.differ import Placeholders
from scow.images.parts import Parts
from scow.images.probe import features
from scow.images.trees import Trash
from scow.linux import inode_flags
from scow.oci.runtime import Mount

_log = logging.getLogger("scow.images")


class OverlaySnapshots:
    """engine.ports.Snapshots on overlayfs."""

    def __init__(self, root: str, parts: Parts, trash: Trash) -> None:
        self._root = root
        self._parts = parts
        self._trash = trash
        self._features = features()
        os.makedirs(root, 0o710, exist_ok=True)
        inode_flags.spread(root)

    async def prepare(self, container_id: str, chain_ids: Sequence[str]) -> None:
        """Three mkdirs and a file. They are on disk once the container's record is: the journal keeps their order."""
        self._parts.catalog.pin(container_id, chain_ids)
        self._make(container_id)
        os.mkdir(f"{self._root}/{container_id}/work", 0o700)
        self._mark(container_id)

    def mounts(self, container_id: str, chain_ids: Sequence[str], *, lasting: bool = True) -> Sequence[Mount]:
        """One overlay, or a bind of the writable directory when there is nothing below it."""
        lowers, upper, work = self.directories(container_id, chain_ids)
        bind = self._bind(container_id)
        if not lowers:
            return [bind]
        options = [f"lowerdir={':'.join(lowers)}", f"upperdir={upper}", f"workdir={work}", *self._features]
        if not lasting:
            options.append("volatile")  # no waiting for the disk
            _take_mark_off(f"{work}/work/incompat")
        return [{"type": "overlay", "source": "overlay", "options": options}]

    def directories(self, container_id: str, chain_ids: Sequence[str]) -> tuple[Sequence[str], str, str]:
        """(lower directories top first, upper, work)."""
        own = f"{self._root}/{container_id}"
        return self._lowers(chain_ids), f"{own}/diff", f"{own}/work"

    async def remove(self, container_id: str) -> None:
        self._trash.put(f"{self._root}/{container_id}")
        chain = self._parts.catalog.unpin(container_id)
        await self._parts.give_up(chain, ())  # layers of an image that was removed before its container

    def write_changes(
        self,
        container_id: str,
        chain_ids: Sequence[str],
        ours: Sequence[str],
        emit: Emit,
        bound: Bound | None = None,
    ) -> None:
        """In a thread: the writable layer as a layer archive."""
        lowers, upper, _ = self.directories(container_id, chain_ids)
        differ.write_upper(upper, emit, lowers=lowers, placeholders=placeholders(ours), bound=bound)

    def newest(self, container_id: str, chain_ids: Sequence[str], before: int) -> int:
        """In a thread: the newest time in the writable layer before a moment (ns), in seconds, rounded up; 0 for none."""
        return -(-differ.newest(self.directories(container_id, chain_ids)[1], before) // 1_000_000_000)

    def write_whole(self, container_id: str, chain_ids: Sequence[str], emit: Emit) -> None:
        """In a thread: the whole tree as an archive."""
        lowers, upper, _ = self.directories(container_id, chain_ids)
        differ.write_whole((upper, *lowers), emit)

    def changes(self, container_id: str, chain_ids: Sequence[str], ours: Sequence[str]) -> list[tuple[str, int]]:
        """In a thread: (absolute path, kind) of what differs, by path."""
        lowers, upper, _ = self.directories(container_id, chain_ids)
        return [(os.fsdecode(path), kind) for path, kind in changes.upper_changes(upper, lowers, placeholders(ours))]

    async def usage(self, container_id: str) -> int:
        return await self._parts.run(_usage, f"{self._root}/{container_id}/diff")

    def sweep(self, keep: Mapping[str, Sequence[str]]) -> None:
        """At start: the containers that exist, with their chains; what belongs to no other is removed."""
        catalog = self._parts.catalog
        for container_id, chain in keep.items():
            try:
                catalog.pin(container_id, chain)
            except NotFound as error:  # its start will say so again
                _log.error("container %s: %s", container_id, error.message)
        for name in os.listdir(self._root):
            if name not in keep:
                self._trash.put(f"{self._root}/{name}")
        self._parts.discard(catalog.drop_orphans())

    def _bind(self, container_id: str) -> Mount:
        """The writable directory itself as the root; NotFound when it is missing."""
        upper = f"{self._root}/{container_id}/diff"
        if not os.path.isdir(upper):
            raise NotFound(f"the writable layer of container {container_id} is missing")
        return {"type": "bind", "source": upper, "options": ["rbind", "rw"]}

    def _make(self, container_id: str) -> None:
        try:
            os.mkdir(f"{self._root}/{container_id}", 0o710)
            os.mkdir(f"{self._root}/{container_id}/diff", 0o755)
        except FileExistsError:
            raise Conflict(f"the writable layer of container {container_id} exists already") from None
        except OSError as error:
            raise ResourceExhausted(f"cannot make the writable layer of {container_id}: {error.strerror}") from error

    def _mark(self, container_id: str) -> None:
        """Docker's sign for programs that ask whether they are in a container; an image may have its own. Its time is no
        day's: a build's layer must not get its own from it (docs/adr/0008).
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with on_disk(f"make the writable layer of {container_id}"), contextlib.suppress(FileExistsError):
            fd = os.open(f"{self._root}/{container_id}/diff/.dockerenv", flags, 0o755)
            try:
                os.utime(fd, (0, 0))
            finally:
                os.close(fd)

    def _lowers(self, chain_ids: Sequence[str]) -> list[str]:
        layers = self._parts.catalog.layers
        missing = [chain_id for chain_id in chain_ids if chain_id not in layers]
        if missing:
            raise NotFound(f"layer {missing[0]} is missing")
        return [self._parts.trees.path(layers[chain_id].directory) for chain_id in reversed(chain_ids)]


def _take_mark_off(incompat: str) -> None:
    """What a volatile mount leaves, so that nothing is mounted again after the machine went down: it did not."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{incompat}/volatile/dirty")
        os.rmdir(f"{incompat}/volatile")
        os.rmdir(incompat)


def placeholders(paths: Sequence[str]) -> Placeholders:
    """Of absolute paths."""
    return Placeholders(os.fsencode(path.strip("/")) for path in paths)


def _usage(path: str) -> int:
    """Bytes of files and link texts, hard links once, as Docker counts a writable layer."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for _, _, files, fd in os.fwalk(path):
        for name in files:
            try:
                there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:  # the container goes on
                continue
            if not (stat.S_ISREG(there.st_mode) or stat.S_ISLNK(there.st_mode)):
                continue
            if there.st_nlink > 1:
                inode = (there.st_dev, there.st_ino)
                if inode in seen:
                    continue
                seen.add(inode)
            total += there.st_size
    return total

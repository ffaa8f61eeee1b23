"""Snapshots by copying, where overlayfs cannot be used (a data root that lies on overlayfs itself, odd kernels).

Slow and large, and the same to its users: layers are applied on top of one another into the container's directory.
"""

import os
import shutil
import stat
from collections.abc import Sequence

from scow.images import changes, differ
from scow.images.archive.bound import Bound
from scow.images.archive.writer import Emit
from scow.images.merged import DIRECTORY, is_opaque, is_whiteout
from scow.images.snapshots import OverlaySnapshots, placeholders
from scow.linux.copytree import copy_attributes, copy_one
from scow.oci.runtime import Mount


class NativeSnapshots(OverlaySnapshots):
    """engine.ports.Snapshots without overlayfs."""

    async def prepare(self, container_id: str, chain_ids: Sequence[str]) -> None:
        self._parts.catalog.pin(container_id, chain_ids)
        lowers = list(reversed(self._lowers(chain_ids)))
        self._make(container_id)
        await self._parts.run(merge, lowers, f"{self._root}/{container_id}/diff")
        self._mark(container_id)

    def directories(self, container_id: str, chain_ids: Sequence[str]) -> tuple[Sequence[str], str, str]:
        upper = f"{self._root}/{container_id}/diff"
        return (upper,), upper, ""  # the image's data are in it, for a volume's first filling

    def write_changes(
        self,
        container_id: str,
        chain_ids: Sequence[str],
        ours: Sequence[str],
        emit: Emit,
        bound: Bound | None = None,
    ) -> None:
        _, tree, _ = self.directories(container_id, chain_ids)
        differ.write_difference(tree, self._lowers(chain_ids), emit, placeholders=placeholders(ours), bound=bound)

    def write_whole(self, container_id: str, chain_ids: Sequence[str], emit: Emit) -> None:
        _, tree, _ = self.directories(container_id, chain_ids)
        differ.write_whole((tree,), emit)

    def changes(self, container_id: str, chain_ids: Sequence[str], ours: Sequence[str]) -> list[tuple[str, int]]:
        _, tree, _ = self.directories(container_id, chain_ids)
        found = changes.tree_changes(tree, self._lowers(chain_ids), placeholders(ours))
        return [(os.fsdecode(path), kind) for path, kind in found]

    def mounts(self, container_id: str, chain_ids: Sequence[str], *, lasting: bool = True) -> Sequence[Mount]:
        return [self._bind(container_id)]


def merge(layers: Sequence[str], target: str) -> None:
    """Apply unpacked layers, base first, to the empty directory `target`."""
    top = os.open(target, DIRECTORY)
    try:
        for layer in layers:
            source = os.open(layer, DIRECTORY)
            try:
                _apply(source, top, top, b"", {})
            finally:
                os.close(source)
    finally:
        os.close(top)


def _apply(source: int, target: int, top: int, prefix: bytes, links: dict[tuple[int, int], bytes]) -> None:
    """One directory of a layer onto the same directory of the result; `links` has the layer's hard links so far."""
    if is_opaque(source):
        for name in os.listdir(target):
            _remove(target, name)
    for name in os.listdir(source):
        there = os.stat(name, dir_fd=source, follow_symlinks=False)
        here = _stat(target, name)
        is_directory = stat.S_ISDIR(there.st_mode)
        if here is not None and not (is_directory and stat.S_ISDIR(here.st_mode)):
            _remove(target, name)
            here = None
        path = prefix + os.fsencode(name)
        if is_directory:
            if here is None:
                os.mkdir(name, 0o700, dir_fd=target)
            _apply_below(name, source, target, top, path, links)
        elif not is_whiteout(there):
            _place(source, name, there, target, top, path, links)
    for key in set(os.listxattr(target)) - set(os.listxattr(source)):
        os.removexattr(target, key)
    copy_attributes(source, target)


def _apply_below(
    name: str, source: int, target: int, top: int, path: bytes, links: dict[tuple[int, int], bytes]
) -> None:
    inner_source = os.open(name, DIRECTORY, dir_fd=source)
    try:
        inner_target = os.open(name, DIRECTORY, dir_fd=target)
        try:
            _apply(inner_source, inner_target, top, path + b"/", links)
        finally:
            os.close(inner_target)
    finally:
        os.close(inner_source)


def _place(
    source: int,
    name: str,
    there: os.stat_result,
    target: int,
    top: int,
    path: bytes,
    links: dict[tuple[int, int], bytes],
) -> None:
    """A file, or one more name of one that this layer has already brought."""
    inode = (there.st_dev, there.st_ino)
    if inode in links:
        # `top` is ours alone, and the known path was made from this layer: no component of it is a link
        os.link(links[inode], name, src_dir_fd=top, dst_dir_fd=target, follow_symlinks=False)
        return
    copy_one(source, os.fsencode(name), target, os.fsencode(name))
    if there.st_nlink > 1 and not stat.S_ISSOCK(there.st_mode):
        links[inode] = path


def _stat(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _remove(directory: int, name: str) -> None:
    if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        shutil.rmtree(name, dir_fd=directory)
    else:
        os.unlink(name, dir_fd=directory)

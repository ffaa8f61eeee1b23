"""Hard links of a layer whose target lies in a layer below: the target is copied up, as overlayfs itself would do."""

import os
from collections.abc import Sequence
from dataclasses import replace

from scow.images.archive.limits import InvalidArchive
from scow.images.parts import Parts
from scow.images.trees import Trees
from scow.images.unpack import Unpacked
from scow.linux import paths
from scow.linux.copytree import copy_one
from scow.metadata.images import LayerRow


async def finished(parts: Parts, row: LayerRow, unpacked: Unpacked, below: Sequence[str]) -> LayerRow:
    """The row of a layer that was unpacked into its directory, once its links to the chain `below` are made. On an error
    the directory is removed.
    """
    row = replace(row, size=unpacked.size, independent=not unpacked.missing_links)
    try:
        if unpacked.missing_links:
            lowers = [parts.trees.path(lower.directory) for lower in reversed(await parts.arrived(below))]
            row = await parts.run(_complete_links, parts.trees, row, unpacked.missing_links, lowers)
        return row
    except BaseException:
        parts.trees.remove(row.directory)
        raise


def _complete_links(
    trees: Trees, row: LayerRow, missing: Sequence[tuple[bytes, bytes]], lowers: Sequence[str]
) -> LayerRow:
    """Make the links (name, target) in the layer `row`; `lowers` are the directories below it, nearest first."""
    root = os.open(trees.path(row.directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    grown = 0
    try:
        for name, target in missing:
            grown += _link(root, name, target, lowers)
    finally:
        os.close(root)
    return replace(row, size=row.size + grown)


def _link(root: int, name: bytes, target: bytes, lowers: Sequence[str]) -> int:
    """One link; returns the bytes that were copied for it."""
    directory, _, last = name.rpartition(b"/")
    target_directory, _, target_last = target.rpartition(b"/")
    parent = paths.make_dirs_in_root(root, directory or b".")
    target_parent = paths.make_dirs_in_root(root, target_directory or b".")
    try:
        copied = 0
        if not _exists(target_parent, target_last):
            copied = _copy_up(target_parent, target_last, target, lowers)
        os.link(target_last, last, src_dir_fd=target_parent, dst_dir_fd=parent, follow_symlinks=False)
        return copied
    except OSError as error:
        raise InvalidArchive(
            f"cannot link {os.fsdecode(name)!r} to {os.fsdecode(target)!r}: {error.strerror}"
        ) from error
    finally:
        os.close(parent)
        os.close(target_parent)


def _exists(parent: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _copy_up(parent: int, name: bytes, target: bytes, lowers: Sequence[str]) -> int:
    for lower in lowers:
        root = paths.open_root(lower)
        try:
            directory, _, _ = target.rpartition(b"/")
            try:
                source = paths.open_in_root(root, directory or b".", os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue
            try:
                if _exists(source, name):
                    return copy_one(source, name, parent, name)
            finally:
                os.close(source)
        finally:
            os.close(root)
    raise InvalidArchive(f"hard link to {os.fsdecode(target)!r}, which does not exist")

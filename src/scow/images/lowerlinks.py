"""Hard links of a layer whose target lies in a layer below: the target is copied up, as overlayfs itself would do."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from scow.images.archive.limits import InvalidArchive
from scow.images.merged import Found, View
from scow.images.parts import Parts
from scow.images.trees import Trees
from scow.images.unpack import Unpacked
from scow.linux import paths
from scow.linux.copytree import copy_attributes, copy_one
from scow.metadata.images import LayerRow

_LINKS = 40  # the kernel's own bound


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
    made: dict[bytes, bytes] = {}
    try:
        for name, target in missing:
            grown += _link(root, name, target, lowers, made)
    except OSError as error:
        raise InvalidArchive(
            f"cannot link {os.fsdecode(name)!r} to {os.fsdecode(target)!r}: {error.strerror}"
        ) from error
    finally:
        os.close(root)
    return replace(row, size=row.size + grown)


def _link(root: int, name: bytes, target: bytes, lowers: Sequence[str], made: dict[bytes, bytes]) -> int:
    """One link; returns the bytes that were copied for it. `made` says where in the layer a target's copy is.

    Archives are applied in order: what came later under the link's name counts, and what came later under its target's (a
    whiteout, too) is not what the link meant.
    """
    with _shown(lowers, target) as shown, _directory(root, name, lowers) as parent:
        if shown is None:
            raise InvalidArchive(f"hard link to {os.fsdecode(target)!r}, which does not exist")
        last = name.rpartition(b"/")[2]
        if _exists(parent, last):
            return 0
        copied = 0
        if target not in made:
            with _directory(root, target, lowers) as place:
                made[target] = name if _exists(place, target.rpartition(b"/")[2]) else target
            with _directory(root, made[target], lowers) as place:
                copied = copy_one(shown[0].directory, shown[1], place, made[target].rpartition(b"/")[2])
        if made[target] != name:
            with _directory(root, made[target], lowers) as place:
                source = made[target].rpartition(b"/")[2]
                os.link(source, last, src_dir_fd=place, dst_dir_fd=parent, follow_symlinks=False)
        return copied


@contextmanager
def _directory(root: int, path: bytes, lowers: Sequence[str]) -> Iterator[int]:
    """An fd of the directory that holds `path` in the layer. What is missing of it is made as the layers below have it."""
    above = path.rpartition(b"/")[0]
    fresh = []
    prefix = above
    while prefix and not _there(root, prefix):
        fresh.append(prefix)
        prefix = prefix.rpartition(b"/")[0]
    fd = paths.make_dirs_in_root(root, above or b".")
    try:
        for prefix in fresh:
            _dress(root, prefix, lowers)
        yield fd
    finally:
        os.close(fd)


def _there(root: int, path: bytes) -> bool:
    try:
        os.close(paths.open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY))
    except FileNotFoundError:
        return False
    return True


def _dress(root: int, path: bytes, lowers: Sequence[str]) -> None:
    """Owner, mode, attributes and times of a directory that was made on the way, as copying it up would keep them."""
    with _shown(lowers, path + b"/.") as shown:
        if shown is None:
            return
        fd = paths.open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            copy_attributes(shown[0].directory, fd)
        finally:
            os.close(fd)


def _exists(parent: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _shown(lowers: Sequence[str], path: bytes) -> Iterator[tuple[Found, bytes] | None]:
    """What the layers below show at `path` (a file, or with "/." behind it a directory) and its name there; None for
    nothing. Links on the way to it are followed within their tree.
    """
    todo = path.split(b"/")[::-1]
    followed = 0
    views = [View.open(lowers)]
    try:
        while todo:
            name = todo.pop()
            if name == b"..":
                _leave(views, max(1, len(views) - 1))
                continue
            found = views[-1].find(name)
            if not todo:
                yield None if found is None or (name != b"." and stat.S_ISDIR(found.there.st_mode)) else (found, name)
                return
            if found is not None and stat.S_ISLNK(found.there.st_mode) and followed < _LINKS:
                followed += 1
                text = os.readlink(name, dir_fd=found.directory)
                _leave(views, 1 if text.startswith(b"/") else len(views))
                todo += [part for part in text.split(b"/") if part not in (b"", b".")][::-1]
            else:
                views.append(views[-1].enter(name))
        yield None
    finally:
        _leave(views, 0)


def _leave(views: list[View], keep: int) -> None:
    """Close at once what is not looked at any more: a link may go up and down as often as its text is long."""
    while len(views) > keep:
        views.pop().close()

"""What a container changed, by Docker's rules: added, changed and deleted paths, as `diff` shows them.

A file has changed when its kind, mode, owner, device, size, time or capabilities have; a directory when its mode or owner
has, or when anything in it has (its times and size count for nothing). Below a directory that was deleted or replaced
nothing is told.
"""

import os
import stat
from collections.abc import Sequence

from scow.images.differ import NO_PLACEHOLDERS, Placeholders, check_depth
from scow.images.merged import DIRECTORY, FILE, View, inside, is_opaque, is_whiteout

MODIFIED, ADDED, DELETED = 0, 1, 2
_CAPABILITY = "security.capability"


def upper_changes(
    upper: str, lowers: Sequence[str], placeholders: Placeholders = NO_PLACEHOLDERS
) -> list[tuple[bytes, int]]:
    """(path with a leading slash, kind) of what the overlayfs upper directory changes in `lowers` (top first)."""
    return _changes(upper, lowers, placeholders, complete=False)


def tree_changes(
    tree: str, lowers: Sequence[str], placeholders: Placeholders = NO_PLACEHOLDERS
) -> list[tuple[bytes, int]]:
    """As `upper_changes`, for a whole tree that began as a copy of `lowers`."""
    return _changes(tree, lowers, placeholders, complete=True)


def _changes(root: str, lowers: Sequence[str], placeholders: Placeholders, complete: bool) -> list[tuple[bytes, int]]:
    walk = _Walk(placeholders, complete)
    fd = os.open(root, DIRECTORY)
    try:
        with View.open(lowers) as below:
            walk.directory(fd, below, b"", 0)
    finally:
        os.close(fd)
    return sorted(walk.found.items())


class _Walk:
    """`found`: path to kind. `complete`: the new tree is all there is, nothing shows through."""

    def __init__(self, placeholders: Placeholders, complete: bool) -> None:
        self.found: dict[bytes, int] = {}
        self._placeholders = placeholders
        self._complete = complete

    def directory(self, fd: int, below: View, prefix: bytes, depth: int) -> None:
        """What is different in one directory; `prefix` is its path with a slash, or empty for the root."""
        check_depth(depth, prefix)
        names = {os.fsencode(name) for name in os.listdir(fd)}
        for name in names:
            try:
                there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:  # the container goes on
                continue
            path = prefix + name
            if not self._placeholders.has(path, fd, name, there):
                self._entry(fd, below, path, name, there, depth)
        if self._complete or is_opaque(fd):
            for name in below.entries().keys() - names:
                self.found[b"/" + prefix + name] = DELETED

    def _entry(self, fd: int, below: View, path: bytes, name: bytes, there: os.stat_result, depth: int) -> None:
        old = below.find(name)
        if is_whiteout(there) and not self._complete:
            if old is not None:
                self.found[b"/" + path] = DELETED
            return
        if not stat.S_ISDIR(there.st_mode):
            if old is None:
                self.found[b"/" + path] = ADDED
            elif _different(there, old.there) or _capability(fd, name, there) != _capability(
                old.directory, name, old.there
            ):
                self.found[b"/" + path] = MODIFIED
            return
        count = len(self.found)
        with inside(fd, name) as inner, below.enter(name) if old is not None else View(()) as under:
            if inner is None:
                return
            self.directory(inner, under, path + b"/", depth + 1)
            more = len(self.found) > count
            if old is None:
                if (
                    more
                    or path not in self._placeholders.parents
                    or self._placeholders.parent_changed(path, inner, there, None)
                ):
                    self.found[b"/" + path] = ADDED
            elif more or _different(there, old.there):
                self.found[b"/" + path] = MODIFIED


def _different(new: os.stat_result, old: os.stat_result) -> bool:
    if (new.st_mode, new.st_uid, new.st_gid, new.st_rdev) != (old.st_mode, old.st_uid, old.st_gid, old.st_rdev):
        return True
    if stat.S_ISDIR(new.st_mode):
        return False
    return new.st_size != old.st_size or not _same_time(new.st_mtime_ns, old.st_mtime_ns)


def _same_time(one: int, other: int) -> bool:
    """A time without a fraction is one that an archive has cut to seconds."""
    second = 10**9
    return one == other or (one // second == other // second and not (one % second and other % second))


def _capability(directory: int, name: bytes, there: os.stat_result) -> bytes:
    if not stat.S_ISREG(there.st_mode):
        return b""
    try:
        fd = os.open(name, FILE, dir_fd=directory)
    except FileNotFoundError:
        return b""
    try:
        return os.getxattr(fd, _CAPABILITY)
    except OSError:
        return b""
    finally:
        os.close(fd)

"""Trees that a build copies from: a context, or the layers of an image seen as one.

Paths are tuples of names from the tree's root down, and links are resolved here, name by name, within the tree: nothing that a
Dockerfile, a context or an image says is ever looked up by a path of the host (CVE-2019-14271, CVE-2024-23652).
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from scow.build.frontend import globs
from scow.errors import InvalidArgument
from scow.images.archive import entry as kinds
from scow.images.archive.writer import xattrs_of
from scow.images.merged import FILE, View
from scow.linux import paths

Path = tuple[bytes, ...]
_LINKS = 255
_CHUNK = 1 << 20

UNDATED = -(1 << 62)
"""The time of a file that nobody has dated: it gets that of the step."""


@dataclass(frozen=True, slots=True)
class Node:
    """One file: `kind` is a word of archive.entry. `digest` is the sha256 of the content where it is known, else "". `mtime`
    is in Unix nanoseconds. `inode`: the same for the names of one file that has several; `offset` is the tree's own.
    """

    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] | None = None
    digest: str = ""
    offset: int = 0
    inode: tuple[int, int] | None = None

    @property
    def is_directory(self) -> bool:
        return self.kind == kinds.DIRECTORY


class Tree(Protocol):
    """What can be copied from. Methods run in threads; `find`, `names` and `content` take paths without links in them."""

    def find(self, path: Path) -> Node | None:
        """What is there, links not followed."""

    def names(self, path: Path) -> Sequence[bytes]:
        """What a directory holds, in byte order."""

    def content(self, path: Path) -> Iterator[bytes]:
        """A file's bytes."""


def split(path: bytes) -> Path:
    """The names of a path; "." and empty ones are dropped, ".." goes up, never above the root."""
    return tuple(paths.components(path))


def text(path: Path) -> str:
    """As the user would write it, from the root."""
    return "/" + os.fsdecode(b"/".join(path))


def resolve(tree: Tree, path: bytes, *, follow: bool = True) -> Path:
    """The path without links, as a process whose root is the tree would go. What is not there is taken as it stands; the last
    name's link counts only with `follow`. InvalidArgument for a loop.
    """
    todo = path.split(b"/")[::-1]
    done: list[bytes] = []
    links = 0
    while todo:
        name = todo.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            del done[-1:]
            continue
        node = tree.find((*done, name))
        if node is not None and node.kind == kinds.SYMLINK and (todo or follow):
            links += 1
            if links > _LINKS:
                raise InvalidArgument(f"too many links at {os.fsdecode(path)!r}")
            if node.target.startswith(b"/"):
                done.clear()
            todo.extend(node.target.split(b"/")[::-1])
            continue
        done.append(name)
    return tuple(done)


def walk(tree: Tree, path: Path) -> Iterator[tuple[Path, Node]]:
    """Everything below a directory, parents before what they hold, in byte order of the names; paths relative to it."""
    waiting: list[Path] = [(name,) for name in reversed(tree.names(path))]
    while waiting:
        inner = waiting.pop()
        node = tree.find((*path, *inner))
        if node is None:
            continue
        yield inner, node
        if node.is_directory:
            waiting.extend((*inner, name) for name in reversed(tree.names((*path, *inner))))


def matches(tree: Tree, pattern: bytes) -> list[Path]:
    """The paths that a pattern with `*`, `?`, `[...]` (none of which is a slash) leads to, sorted; links on the way count."""
    found: list[Path] = [()]
    for part in split(pattern):
        following: list[Path] = []
        for path in found:
            try:
                here = resolve(tree, b"/".join(path))
            except InvalidArgument:  # a loop of links: nothing is there
                continue
            if not is_pattern(part):
                if tree.find((*here, part)) is not None:
                    following.append((*here, part))
                continue
            node = tree.find(here) if here else None
            if here and (node is None or not node.is_directory):
                continue
            try:  # within one name, several stars are one
                test = globs.matcher(os.fsdecode(re.sub(rb"(?<!\\)\*+", b"*", part)))
            except ValueError:
                raise InvalidArgument(f"syntax error in pattern: {os.fsdecode(part)}") from None
            following.extend((*here, name) for name in tree.names(here) if test(os.fsdecode(name)))
        found = following
    return sorted(found)


def is_pattern(text: bytes) -> bool:
    """Whether a path has something of a pattern."""
    return any(mark in text for mark in (b"*", b"?", b"[", b"\\"))


class LayersTree:
    """The layers of an image (directories, top first) as one tree."""

    def __init__(self, layers: Sequence[str]) -> None:
        self._layers = tuple(layers)

    def find(self, path: Path) -> Node | None:
        with View.open(self._layers) as root:
            if not path:
                return _directory(root)
            with _descend(root, path[:-1]) as view:
                found = view.find(path[-1])
                if found is None:
                    return None
                if stat.S_ISDIR(found.there.st_mode):
                    with view.enter(path[-1]) as inner:
                        return _directory(inner)
                return _node(found.directory, path[-1], found.there)

    def names(self, path: Path) -> Sequence[bytes]:
        with View.open(self._layers) as root, _descend(root, path) as view:
            return list(view.entries())

    def content(self, path: Path) -> Iterator[bytes]:
        with View.open(self._layers) as root, _descend(root, path[:-1]) as view:
            found = view.find(path[-1])
            if found is None:
                raise FileNotFoundError(text(path))
            fd = os.open(path[-1], FILE, dir_fd=found.directory)
            try:
                while chunk := os.read(fd, _CHUNK):
                    yield chunk
            finally:
                os.close(fd)


def _descend(view: View, path: Path) -> View:
    """The directory `path`, without any fd when there is none. The caller closes it and `view`."""
    here = view.enter(b".") if not path else view
    for number, name in enumerate(path):
        inner = here.enter(name)
        if number:
            here.close()
        here = inner
    return here


def _directory(view: View) -> Node | None:
    if view.top is None:
        return None
    there = os.fstat(view.top)
    return Node(
        kinds.DIRECTORY,
        stat.S_IMODE(there.st_mode),
        there.st_uid,
        there.st_gid,
        mtime=there.st_mtime_ns,
        xattrs=xattrs_of(view.top),
    )


def _node(directory: int, name: bytes, there: os.stat_result) -> Node | None:
    mode = there.st_mode
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is None:  # a socket
        return None
    xattrs = None
    if kind == kinds.FILE:
        fd = os.open(name, FILE, dir_fd=directory)
        try:
            xattrs = xattrs_of(fd)
        finally:
            os.close(fd)
    return Node(
        kind,
        stat.S_IMODE(mode),
        there.st_uid,
        there.st_gid,
        there.st_size if kind == kinds.FILE else 0,
        there.st_mtime_ns,
        os.readlink(name, dir_fd=directory) if kind == kinds.SYMLINK else b"",
        (os.major(there.st_rdev), os.minor(there.st_rdev)) if kind in (kinds.CHARACTER, kinds.BLOCK) else (0, 0),
        xattrs,
        inode=(there.st_dev, there.st_ino) if kind == kinds.FILE and there.st_nlink > 1 else None,
    )


_KINDS = {
    stat.S_IFREG: kinds.FILE,
    stat.S_IFLNK: kinds.SYMLINK,
    stat.S_IFIFO: kinds.FIFO,
    stat.S_IFCHR: kinds.CHARACTER,
    stat.S_IFBLK: kinds.BLOCK,
}

"""The files that one COPY or ADD puts over a root file system, and the layer that they make."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace

from scow.build.frontend.ignore import IgnoreRules
from scow.build.tree import UNDATED, Node, Path, Tree, resolve, text, walk
from scow.errors import InvalidArgument
from scow.images.archive import entry as kinds
from scow.images.archive.writer import Emit, TarWriter

_FLAGS = {
    kinds.FILE: b"0",
    kinds.SYMLINK: b"2",
    kinds.CHARACTER: b"3",
    kinds.BLOCK: b"4",
    kinds.DIRECTORY: b"5",
    kinds.FIFO: b"6",
}


_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be: its attributes, and whose content it has. `below`: a directory that is there, named for its children's
    sake only. `fresh`: its time is that of a checkout.
    """

    node: Node
    tree: Tree | None = None
    path: Path = ()
    below: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Ownership:
    """What --chown and --chmod say; None keeps what the source has. `chown`: the directory that things are copied into
    gets the owner, too.
    """

    uid: int | None = 0
    gid: int | None = 0
    mode: int | None = None
    chown: bool = False


class Files:
    """What is put where, in the order of the calls; later ones win. `lower` is the root file system as it is."""

    def __init__(
        self,
        lower: Tree,
        ownership: Ownership,
        *,
        from_context: bool,
        excluded: IgnoreRules | None = None,
    ) -> None:
        """`excluded`: paths, relative to what is copied, that are left out."""
        self._excluded = excluded
        self._lower = lower
        self._ownership = ownership
        self._from_context = from_context
        self._items: dict[Path, Item] = {}

    def leaves_out(self, path: Path) -> bool:
        """Whether --exclude means a path, relative to what is copied."""
        return self._excluded is not None and self._excluded.excluded(os.fsdecode(b"/".join(path)))

    def target(self, path: str) -> Path:
        """A path of the root file system, its links resolved."""
        return resolve(self._lower, os.fsencode(path))

    def is_directory(self, path: Path) -> bool:
        found = self._items[path].node if path in self._items else self._lower.find(path)
        return found is not None and found.is_directory

    def parents(self, path: Path, *, owned: bool = False) -> None:
        """The directories on the way to `path`, made where they are missing: 0755, root's or with the wanted owner."""
        for end in range(len(path)):
            missing = path[:end] not in self._items and self._lower.find(path[:end]) is None
            self.directory(path[:end], owned=owned and missing)

    def directory(self, path: Path, *, owned: bool) -> None:
        """A directory that is there, or a new one with the wanted owner when `owned`."""
        item = self._items.get(path)
        if item is None:
            found = self._lower.find(path)
            if found is None or not path:
                there = found is not None
                self._items[path] = Item(found or Node(kinds.DIRECTORY, 0o755, mtime=UNDATED), below=there)
            elif found.is_directory:
                self._items[path] = Item(found, below=True)
            else:
                raise InvalidArgument(f"cannot copy to non-directory: {text(path)}")
            item = self._items[path]
        elif not item.node.is_directory:
            raise InvalidArgument(f"cannot copy to non-directory: {text(path)}")
        if owned:
            self._items[path] = replace(item, node=self._own(item.node), below=False)

    def file(self, path: Path, tree: Tree, source: Path, node: Node) -> None:
        """One file of a tree. As in Docker, the directories that are made for it are its owner's when one was asked for."""
        self.parents(path, owned=self._ownership.chown)
        self._place(path, Item(self._made(node), tree, source, fresh=self._from_context))

    def contents(self, path: Path, tree: Tree, source: Path, *, keep: bool = False) -> None:
        """What a directory of a tree holds, into the directory `path`. `keep`: owner and mode stay as they are there."""
        self.parents(path)
        self.directory(path, owned=self._ownership.chown)
        for inner, node in walk(tree, source):
            if not self.leaves_out(inner):
                made = node if keep and not self._ownership.chown else self._made(node)
                fresh = self._from_context and not keep
                self._place((*path, *inner), Item(made, tree, (*source, *inner), fresh=fresh))

    def _place(self, path: Path, item: Item) -> None:
        before = self._items.get(path)
        if before is not None and before.node.is_directory and not item.node.is_directory:
            for other in [other for other in self._items if other[: len(path)] == path]:
                del self._items[other]
        self._items[path] = item

    def _made(self, node: Node) -> Node:
        mode = self._ownership.mode
        if mode is None or node.kind == kinds.SYMLINK:
            mode = node.mode
            if self._ownership.uid is not None and node.kind == kinds.FILE:
                mode &= ~_given_up(mode)
        return replace(self._own(node), mode=mode)

    def _own(self, node: Node) -> Node:
        owner = self._ownership
        return replace(
            node,
            uid=node.uid if owner.uid is None else owner.uid,
            gid=node.gid if owner.gid is None else owner.gid,
        )

    # ------------------------------------------------------------ what comes of it

    def sorted(self) -> Iterator[tuple[Path, Item]]:
        for path in sorted(self._items):
            yield path, self._items[path]

    def newest(self) -> int:
        """The newest time of what is put, in Unix seconds, rounded up; 0 for none."""
        latest = max((item.node.mtime for item in self._items.values() if not item.below), default=0)
        return max(-(-latest // _SECOND), 0)

    def digest(self) -> str:
        """Of all that is put, in hexadecimal; times do not count. Runs in a thread: contents of layers are read."""
        whole = hashlib.sha256()
        for path, item in self.sorted():
            if item.below:
                continue
            node = item.node
            content = node.digest
            if node.kind == kinds.FILE and not content and item.tree is not None:
                one = hashlib.sha256()
                for chunk in item.tree.content(item.path):
                    one.update(chunk)
                content = one.hexdigest()
            fields = (
                b"/".join(path),
                node.kind.encode(),
                b"%o %d %d %d %d" % (node.mode, node.uid, node.gid, *node.device),
                node.target,
                content.encode(),
                *(key.encode() + b"=" + value for key, value in sorted((node.xattrs or {}).items())),
            )
            for piece in fields:
                whole.update(b"%d:" % len(piece) + piece)
            whole.update(b"\n")
        return whole.hexdigest()

    def write(self, stamp: int, pinned: bool, emit: Emit) -> None:
        """The layer as an archive. What nobody has dated has the step's time (`stamp`, Unix seconds). `pinned`: so has what
        comes from a context, and nothing is younger. Runs in a thread.
        """
        latest = stamp * _SECOND
        writer = TarWriter(emit)
        links: dict[tuple[int, Node], bytes] = {}  # names of one file stay that when nothing else differs
        for path, item in self.sorted():
            node = item.node
            if not path:
                continue  # the root is there, whatever an image says
            name = b"/".join(path) + (b"/" if node.is_directory else b"")
            mtime = node.mtime
            if mtime == UNDATED or pinned and (item.fresh or mtime > latest):
                mtime = latest
            attributes = Attributes(node.mode, node.uid, node.gid, mtime)
            if node.inode is not None:
                first = links.setdefault((id(item.tree), replace(node, xattrs=None)), name)
                if first is not name:
                    writer.member(name, b"1", attributes, target=first)
                    continue
            writer.member(
                name,
                _FLAGS[node.kind],
                attributes,
                size=node.size,
                target=node.target,
                device=node.device,
                xattrs=node.xattrs,
                content=item.tree.content(item.path) if item.tree is not None and node.size else iter(()),
            )
        writer.end()


def _given_up(mode: int) -> int:
    """The bits that a file loses when its owner changes: setuid, and setgid where the group may execute it."""
    return stat.S_ISUID | (stat.S_ISGID if mode & stat.S_IXGRP else 0)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the archive writer wants to know of a file, under stat's names."""

    st_mode: int
    st_uid: int
    st_gid: int
    st_mtime_ns: int

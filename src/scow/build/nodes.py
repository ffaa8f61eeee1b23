"""A tree in memory: what a context says of its files. Where their contents lie is its subclasses' affair."""

import os
from collections.abc import Iterator, Sequence

from scow.build.frontend.ignore import IgnoreRules
from scow.build.tree import UNDATED, Node, Path, resolve, split
from scow.errors import InvalidArgument
from scow.images.archive import entry as kinds

IGNORE = ".dockerignore"
_LARGEST_IGNORE = 1 << 20


class Nodes:
    """A tree (see tree.Tree) without contents."""

    def __init__(self) -> None:
        self._nodes: dict[Path, Node] = {(): Node(kinds.DIRECTORY, 0o755)}
        self._names: dict[Path, dict[bytes, None]] = {(): {}}

    def save(self) -> None:
        """Keep for later builds what may be kept. In a thread."""

    def close(self) -> None:
        """Give up what the contents take."""

    def find(self, path: Path) -> Node | None:
        return self._nodes.get(path)

    def names(self, path: Path) -> Sequence[bytes]:
        return sorted(self._names.get(path, ()))

    def content(self, path: Path) -> Iterator[bytes]:
        raise NotImplementedError

    def read(self, name: str, limit: int) -> bytes | None:
        """The bytes of a small file, None when there is none; links are followed. InvalidArgument beyond `limit`."""
        path = resolve(self, os.fsencode(name))
        node = self.find(path)
        if node is None or node.kind != kinds.FILE:
            return None
        if node.size > limit:
            raise InvalidArgument(f"{name} has more than {limit} bytes")
        return b"".join(self.content(path))

    def rules(self, *names: str) -> IgnoreRules | None:
        """Those of the first of some files that is there, None without any."""
        for name in names:
            data = self.read(name, _LARGEST_IGNORE)
            if data is not None:
                return IgnoreRules.parse(data.decode("utf-8", "replace"))
        return None

    def hide(self, dockerfile: str) -> None:
        """Docker's rule: of what .dockerignore excludes, the client still sends that file and the Dockerfile; no step sees
        them.
        """
        rules = self.rules(IGNORE)
        for name in (dockerfile, IGNORE):
            if rules is not None and rules.excluded(name):
                self._remove(split(os.fsencode(name)))

    def _put(self, path: Path, node: Node) -> None:
        for end in range(1, len(path)):
            parent = self._nodes.get(path[:end])
            if parent is None or not parent.is_directory:
                self._put(path[:end], Node(kinds.DIRECTORY, 0o755, mtime=UNDATED))
        before = self._nodes.get(path)
        if before is not None and before.is_directory and not node.is_directory:
            self._remove(path)
        self._nodes[path] = node
        self._names[path[:-1]][path[-1]] = None
        if node.is_directory:
            self._names.setdefault(path, {})

    def _remove(self, path: Path) -> None:
        if path not in self._nodes:
            return
        for name in list(self._names.get(path, ())):
            self._remove((*path, name))
        self._names.pop(path, None)
        del self._nodes[path]
        del self._names[path[:-1]][path[-1]]

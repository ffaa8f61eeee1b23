"""The build context: an archive that a client sent, kept as one file with an index of it.

Nothing of it is unpacked: its paths never meet the file system, and a step that copies from it reads the bytes where they lie.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scow.build.frontend.ignore import IgnoreRules
from scow.build.tree import UNDATED, Node, Path, split
from scow.errors import InvalidArgument
from scow.images.archive import entry as kinds
from scow.images.archive.entry import Entry
from scow.images.archive.limits import InvalidArchive, Limits
from scow.images.archive.reader import TarReader
from scow.images.blobs import on_disk
from scow.images.decompress import Decompressed, Source

_CHUNK = 1 << 20
_HEAD = 512
IGNORE = ".dockerignore"
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
"""How gzip, bzip2, xz and zstd begin."""


class Context:
    """A tree (see tree.Tree) over the archive in the file `path`, which is removed by `close`, with its directory when that is
    this tree's own (`alone`).
    """

    def __init__(self, path: str, *, alone: bool = False) -> None:
        self._alone = alone
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._nodes: dict[Path, Node] = {(): Node(kinds.DIRECTORY, 0o755)}
        self._names: dict[Path, dict[bytes, None]] = {(): {}}
        self.size = 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            os.unlink(self._path)
            if self._alone:
                os.rmdir(os.path.dirname(self._path))

    # ------------------------------------------------------------ tree.Tree

    def find(self, path: Path) -> Node | None:
        return self._nodes.get(path)

    def names(self, path: Path) -> Sequence[bytes]:
        return sorted(self._names.get(path, ()))

    def content(self, path: Path) -> Iterator[bytes]:
        node = self._nodes[path]
        position, end = node.offset, node.offset + node.size
        while position < end:
            chunk = os.pread(self._fd, min(_CHUNK, end - position), position)
            if not chunk:
                raise InvalidArchive("the context was cut off")
            position += len(chunk)
            yield chunk

    # ------------------------------------------------------------ filling it

    def read_archive(self, source: Source, limits: Limits) -> None:
        """Take in an archive (plain or compressed). Runs in a thread; DataLoss, ResourceExhausted."""
        reader = TarReader(Decompressed(source, limits, hashed=False), limits)
        for entry in reader:
            self._take(entry, reader)
        reader.drain()

    def read_remote(self, source: Source, limits: Limits) -> None:
        """As `read_archive`; what is no archive is the Dockerfile. Runs in a thread."""
        first = source()
        while len(first) < _HEAD and (more := source()):
            first += more
        waiting = [first]

        def again() -> bytes:
            return waiting.pop() if waiting else source()

        if first.startswith(MAGIC) or first[257:262] == b"ustar":
            self.read_archive(again, limits)
        else:
            self.add_file("Dockerfile", iter(again, b""))

    def add_file(self, name: str, pieces: Iterator[bytes], mode: int = 0o644) -> None:
        """A file more; what has the name is replaced. Runs in a thread."""
        self._put(split(os.fsencode(name)), self._store(pieces, Node(kinds.FILE, mode, mtime=UNDATED)))

    def read(self, name: str, limit: int) -> bytes | None:
        """The bytes of a small file, None when there is none; links are followed. InvalidArgument beyond `limit`."""
        from scow.build.tree import resolve

        path = resolve(self, os.fsencode(name))
        node = self.find(path)
        if node is None or node.kind != kinds.FILE:
            return None
        if node.size > limit:
            raise InvalidArgument(f"{name} has more than {limit} bytes")
        return b"".join(self.content(path))

    def written(self, name: str) -> int:
        """When a file was, Unix seconds, rounded up; 0 when it is not there or nobody has said it."""
        from scow.build.tree import resolve

        node = self.find(resolve(self, os.fsencode(name)))
        return max(-(-node.mtime // 1_000_000_000), 0) if node is not None else 0

    def rules(self, *names: str) -> IgnoreRules | None:
        """Those of the first of some files that is there, None without any."""
        for name in names:
            data = self.read(name, _CHUNK)
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

    def _take(self, entry: Entry, reader: TarReader) -> None:
        path = split(entry.name)
        if not path:
            return
        if entry.kind == kinds.HARDLINK:
            target = split(entry.target)
            node = self._nodes.get(target)
            if node is None or node.is_directory:
                raise InvalidArchive(f"the link {os.fsdecode(entry.name)!r} leads to nothing in the archive")
            if node.kind == kinds.FILE:
                node = self._nodes[target] = replace(node, inode=(0, node.offset))
            self._put(path, node)
            return
        node = Node(
            entry.kind,
            entry.mode,
            entry.uid,
            entry.gid,
            mtime=entry.mtime,
            target=entry.target,
            device=(entry.major, entry.minor),
            xattrs=entry.xattrs,
        )
        if entry.kind == kinds.FILE:
            pieces = reader.content() if entry.extents is None else _expanded(entry, reader)
            node = self._store(pieces, node)
        self._put(path, node)

    def _store(self, pieces: Iterator[bytes] | Iterator[memoryview], node: Node) -> Node:
        offset, digest = self.size, hashlib.sha256()
        with on_disk("keep the build context"):
            for piece in pieces:
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    written = os.pwrite(self._fd, view, self.size)
                    self.size += written
                    view = view[written:]
        return Node(
            node.kind,
            node.mode,
            node.uid,
            node.gid,
            self.size - offset,
            node.mtime,
            xattrs=node.xattrs,
            digest=digest.hexdigest(),
            offset=offset,
        )

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


def _expanded(entry: Entry, reader: TarReader) -> Iterator[bytes]:
    """A sparse file with its holes as zeros."""
    stored = (bytes(piece) for piece in reader.content())
    position, rest = 0, b""
    for offset, length in entry.extents or ():
        yield from _zeros(offset - position)
        position = offset + length
        while length:
            rest = rest or next(stored)
            yield rest[:length]
            rest, length = rest[length:], length - min(length, len(rest))
    yield from _zeros(entry.size - position)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, _CHUNK))
        count -= _CHUNK

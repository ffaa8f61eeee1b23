"""The build context: an archive that a client sent, kept as one file with an index of it.

Nothing of it is unpacked: its paths never meet the file system, and a step that copies from it reads the bytes where they lie.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace

from scow.build.nodes import Nodes
from scow.build.tree import UNDATED, Node, Path, split
from scow.images.archive import entry as kinds
from scow.images.archive.entry import Entry
from scow.images.archive.limits import InvalidArchive, Limits
from scow.images.archive.reader import TarReader
from scow.images.blobs import on_disk
from scow.images.decompress import Decompressed, Source

_CHUNK = 1 << 20
_HEAD = 512
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
"""How gzip, bzip2, xz and zstd begin."""


class Context(Nodes):
    """A tree (see tree.Tree) over the archive in the file `path`, which is removed by `close`, with its directory when that is
    this tree's own (`alone`).
    """

    def __init__(self, path: str, *, alone: bool = False) -> None:
        super().__init__()
        self._alone = alone
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.size = 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            os.unlink(self._path)
            if self._alone:
                os.rmdir(os.path.dirname(self._path))

    # ------------------------------------------------------------ tree.Tree

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

    def read_directory(self, directory: int, mtime: int, skip: frozenset[bytes] = frozenset()) -> None:
        """Take in what a directory (an open one) holds, without following a link; root's, and of one time (ns). Of its own names
        `skip` are left out. Runs in a thread.
        """
        self._read_directory(directory, (), mtime, skip)

    def _read_directory(self, directory: int, path: Path, mtime: int, skip: frozenset[bytes]) -> None:
        for text in sorted(os.listdir(directory)):
            name = os.fsencode(text)
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
            mode, inner = stat.S_IMODE(there.st_mode), (*path, name)
            if name in skip:
                continue
            if stat.S_ISLNK(there.st_mode):
                self._put(inner, Node(kinds.SYMLINK, 0o777, mtime=mtime, target=os.readlink(name, dir_fd=directory)))
            elif stat.S_ISDIR(there.st_mode):
                self._put(inner, Node(kinds.DIRECTORY, mode, mtime=mtime))
                fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                try:
                    self._read_directory(fd, inner, mtime, frozenset())
                finally:
                    os.close(fd)
            elif stat.S_ISREG(there.st_mode):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                with open(fd, "rb", buffering=0) as stream:
                    pieces = iter(lambda: stream.read(_CHUNK), b"")
                    self._put(inner, self._store(pieces, Node(kinds.FILE, mode, mtime=mtime)))

    def add_file(self, name: str, pieces: Iterator[bytes], mode: int = 0o644) -> None:
        """A file more; what has the name is replaced. Runs in a thread."""
        self._put(split(os.fsencode(name)), self._store(pieces, Node(kinds.FILE, mode, mtime=UNDATED)))

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

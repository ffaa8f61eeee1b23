"""A context of which the client has sent a manifest, and then only what is not here from an earlier build."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from scow.build import manifest
from scow.build.context_store import Content, ContextStore
from scow.build.manifest import Contents, Stated
from scow.build.nodes import Nodes
from scow.build.tree import Node, Path, split
from scow.errors import DataLoss, ResourceExhausted
from scow.images.archive import entry as kinds
from scow.images.blobs import on_disk

_CHUNK = 1 << 20
_KINDS = {
    manifest.FILE: kinds.FILE,
    manifest.INLINE: kinds.FILE,
    manifest.DIRECTORY: kinds.DIRECTORY,
    manifest.SYMLINK: kinds.SYMLINK,
    manifest.FIFO: kinds.FIFO,
}


class Synced(Nodes):
    """A tree (see tree.Tree). Lifecycle: made of a manifest; `ask` once; `receive` once; then it is read; `save`; `close`.

    Methods run in threads.
    """

    def __init__(self, store: ContextStore, uid: int, name: str, files: Sequence[Stated]) -> None:
        super().__init__()
        self._store = store
        self._known = store.open(uid, name)
        self._open = True
        self._kept = False
        self._inline: dict[Path, bytes] = {}
        self._places: dict[Path, Content] = {}
        self._asked: list[tuple[Path, Stated]] = []
        self._fresh: dict[bytes, Content] = {}
        self._new: tuple[str, int] | None = None
        self._stated = {split(file.path): file for file in files}
        for path, file in self._stated.items():
            self._put(path, self._node(path, file))

    def _node(self, path: Path, file: Stated) -> Node:
        node = Node(_KINDS[file.kind], file.mode, mtime=file.mtime)
        if file.kind == manifest.SYMLINK:
            return replace(node, target=file.extra)
        if file.kind == manifest.INLINE:
            self._inline[path] = file.extra
            return replace(node, size=len(file.extra), digest=hashlib.sha256(file.extra).hexdigest())
        if file.kind == manifest.FILE:
            known = self._known.files.get(file.path)
            if known is not None and known.identity == file.identity:
                self._places[path] = known
                return replace(node, size=file.size, digest=known.digest)
            return replace(node, size=file.size)
        return node

    def ask(self, needed: set[Path] | None) -> list[bytes]:
        """The paths of the files that must be sent. `needed`: those that count, None for all."""
        for path, file in self._stated.items():
            node = self.find(path)
            if file.kind != manifest.FILE or node is None or node.kind != kinds.FILE:
                continue  # or the manifest has something else in its place as well
            if path not in self._places and (needed is None or path in needed):
                self._asked.append((path, file))
        return [file.path for _, file in self._asked]

    def receive(self, read: Callable[[], bytes], most: int) -> None:
        """Take in what `ask` has asked for, at most `most` bytes. DataLoss, ResourceExhausted."""
        contents = Contents(read)
        if not self._asked:
            contents.end()
            return
        self._new = self._store.segment(self._known)
        position = 0
        for path, file in self._asked:
            size = contents.size()
            if position + size > most:
                raise ResourceExhausted(f"the context has more than {most} bytes")
            digest = self._take(contents, size, position)
            identity = (size, *file.identity[1:])
            place = Content(identity, digest, len(self._known.segments), position)
            self._places[path] = place
            self._nodes[path] = replace(self._nodes[path], size=size, digest=digest)
            if contents.settled() and size == file.size:
                self._fresh[file.path] = place
            position += size
        contents.end()

    def _take(self, contents: Contents, size: int, position: int) -> str:
        assert self._new is not None
        digest = hashlib.sha256()
        with on_disk("keep the build context"):
            for piece in contents.content(size):
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    written = os.pwrite(self._new[1], view, position)
                    position += written
                    view = view[written:]
        return digest.hexdigest()

    def content(self, path: Path) -> Iterator[bytes]:
        if path in self._inline:
            yield self._inline[path]
            return
        place = self._places.get(path)
        if place is None:
            raise DataLoss(f"{os.fsdecode(b'/'.join(path))} of the context was not sent")
        known = self._known.segments
        if place.segment < len(known):
            fd = known[place.segment]
        else:
            assert self._new is not None
            fd = self._new[1]
        position, end = place.offset, place.offset + place.size
        while position < end:
            chunk = os.pread(fd, min(_CHUNK, end - position), position)
            if not chunk:
                raise DataLoss("a kept file of the context was cut off")
            position += len(chunk)
            yield chunk

    def save(self) -> None:
        """Keep what has come for the next build."""
        files = dict(self._fresh)
        for path, file in self._stated.items():
            place = self._places.get(path)
            if place is not None and place.segment < len(self._known.segments):
                files[file.path] = place
        present = {file.path for file in self._stated.values()}
        self._store.save(self._known, self._new if self._fresh else None, files, present)
        self._kept = bool(self._fresh)

    def close(self) -> None:
        if self._open:
            self._open = False
            if self._new is not None:
                os.close(self._new[1])
                if not self._kept:
                    self._store.drop(self._known, self._new[0])
            self._store.release(self._known)

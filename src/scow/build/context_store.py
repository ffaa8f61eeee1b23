"""Files of contexts that clients have sent: the next build from the same place is sent only what has changed.

<root>/<identity>/index     which file (path, size, times, inode, device) has which content, and where it lies; msgpack
                 /<segment> contents of one build, one after the other

An identity is a client's user together with the directory that it has named: what one user sends is never another's, so that
nobody can put contents under somebody else's files. Within it, a client's word that a file is unchanged is worth what its own
stat is worth; the digest of a content is always of bytes that came in here. A segment is never written again; the index is
replaced whole after the segments that it names are on disk. So a crash, whenever it is, leaves an older index and a segment
that nobody names, which the next save removes.
"""

import hashlib
import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from scow.build.unused import remove_unused
from scow.images.blobs import on_disk, write_file

TYPE = "source.local"
_SEGMENTS = 24
_CHUNK = 1 << 20
Identity = tuple[int, int, int, int, int]


class Content(msgspec.Struct, array_like=True, frozen=True):
    """Where a file's bytes lie, and their sha256."""

    identity: Identity
    digest: str
    segment: int
    offset: int

    @property
    def size(self) -> int:
        return self.identity[0]


class _Index(msgspec.Struct):
    name: str
    made_at: int
    segments: list[str]
    files: dict[bytes, Content]


@dataclass(slots=True)
class Known:
    """What is known of one context when a build begins. `segments` are open files, in the index's order; close them."""

    key: str
    name: str
    made_at: int
    names: list[str] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    files: dict[bytes, Content] = field(default_factory=dict)

    def close(self) -> None:
        while self.segments:
            os.close(self.segments.pop())


@dataclass(frozen=True, slots=True)
class Kept:
    """The files of one context, for a list. `size` in bytes, times in Unix nanoseconds."""

    key: str
    name: str
    size: int
    made_at: int
    used_at: int
    in_use: bool


def key_of(uid: int, name: str) -> str:
    return hashlib.sha256(f"{uid}\0{name}".encode("utf-8", "surrogateescape")).hexdigest()


class ContextStore:
    """All of one data root. Every method runs in a thread."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._users: Counter[str] = Counter()

    def open(self, uid: int, name: str) -> Known:
        """What there is of the context `name` of a user; the caller gives it back with `release`."""
        known = Known(key_of(uid, name), name, time.time_ns())
        with self._lock:
            self._users[known.key] += 1
            directory = f"{self._root}/{known.key}"
            index = _read(f"{directory}/index")
            if index is None:
                return known
            try:
                for segment in index.segments:
                    known.segments.append(os.open(f"{directory}/{segment}", os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                known.close()
                return known
        known.made_at, known.names, known.files = index.made_at, index.segments, index.files
        return known

    def release(self, known: Known) -> None:
        known.close()
        with self._lock:
            self._users[known.key] -= 1

    def segment(self, known: Known) -> tuple[str, int]:
        """(the name of a new segment, its open file)."""
        directory = f"{self._root}/{known.key}"
        name = secrets.token_hex(8)
        with on_disk("keep the build context"):
            os.makedirs(directory, 0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return name, os.open(f"{directory}/{name}", flags, 0o600)

    def drop(self, known: Known, name: str) -> None:
        """A new segment that nobody will name."""
        with suppress(FileNotFoundError):
            os.unlink(f"{self._root}/{known.key}/{name}")

    def save(self, known: Known, new: tuple[str, int] | None, files: dict[bytes, Content], present: set[bytes]) -> None:
        """Keep `files`, of which those in the segment behind known's own are in `new`. What was known of other paths stays
        (another Dockerfile may want them) until it is more than half of all.
        """
        directory = f"{self._root}/{known.key}"
        if new is None:
            if os.path.exists(f"{directory}/index"):
                os.utime(f"{directory}/index")
            return
        name, fd = new
        merged = {path: content for path, content in known.files.items() if path not in present} | files
        segments = [*known.names, name]
        descriptors = [*known.segments, fd]
        stored = sum(os.fstat(each).st_size for each in descriptors)
        wanted = sum(content.size for content in merged.values())
        with on_disk("keep the build context"):
            if len(segments) > _SEGMENTS or wanted * 2 < stored:
                name, fd, merged = self._packed(known, descriptors, files)
                segments = [name]
            try:
                os.fsync(fd)
            finally:
                if new[1] != fd:
                    os.close(fd)
            data = msgspec.msgpack.encode(_Index(known.name, known.made_at, segments, merged))
            with self._lock:
                write_file(f"{directory}/index", data)
                self._sweep(directory, set(segments))

    def _packed(
        self, known: Known, descriptors: list[int], files: dict[bytes, Content]
    ) -> tuple[str, int, dict[bytes, Content]]:
        """The contents of `files` in one new segment."""
        name, fd = self.segment(known)
        try:
            return name, fd, self._moved(fd, descriptors, files)
        except BaseException:
            os.close(fd)
            self.drop(known, name)
            raise

    def _moved(self, fd: int, descriptors: list[int], files: dict[bytes, Content]) -> dict[bytes, Content]:
        moved: dict[bytes, Content] = {}
        position = 0
        for path, content in files.items():
            start, left = position, content.size
            while left:
                chunk = os.pread(descriptors[content.segment], min(left, _CHUNK), content.offset + content.size - left)
                if not chunk:
                    break
                os.pwrite(fd, chunk, position)
                position += len(chunk)
                left -= len(chunk)
            if not left:
                moved[path] = Content(content.identity, content.digest, 0, start)
        return moved

    def _sweep(self, directory: str, names: set[str]) -> None:
        """Remove the segments that nobody names, unless another build is writing one."""
        if self._users[os.path.basename(directory)] > 1:
            return
        for name in os.listdir(directory):
            if name not in names and name != "index":
                os.unlink(f"{directory}/{name}")

    def all(self) -> Iterator[Kept]:
        if not os.path.isdir(self._root):
            return
        for key in sorted(os.listdir(self._root)):
            path = f"{self._root}/{key}/index"
            index = _read(path)
            if index is None:
                continue
            try:
                used_at = os.stat(path).st_mtime_ns
                size = sum(_taken(entry) for entry in os.scandir(f"{self._root}/{key}"))
            except FileNotFoundError:
                continue  # removed just now
            yield Kept(key, index.name, size, index.made_at, used_at, self._users[key] > 0)

    def remove(self, key: str) -> bool:
        """See unused.remove_unused."""
        return remove_unused(self._root, key, self._users, self._lock)

    def sweep(self) -> None:
        """At start: what a crash has left."""
        if not os.path.isdir(self._root):
            return
        for key in os.listdir(self._root):
            directory = f"{self._root}/{key}"
            index = None if key.startswith(".") else _read(f"{directory}/index")
            if index is None:
                shutil.rmtree(directory, ignore_errors=True)
            else:
                self._sweep(directory, set(index.segments))


def _read(path: str) -> _Index | None:
    """None for an index that is not there, or is not one: then nothing is known."""
    try:
        with open(path, "rb") as stream:
            return msgspec.msgpack.decode(stream.read(), type=_Index)
    except (OSError, msgspec.MsgspecError):
        return None


def _taken(entry: "os.DirEntry[str]") -> int:
    """Bytes on disk; a build may remove an old segment meanwhile."""
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        return 0

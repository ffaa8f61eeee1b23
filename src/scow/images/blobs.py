"""The content store: blobs by digest in an OCI image layout.

    <root>/oci-layout  <root>/index.json  <root>/blobs/<algorithm>/<hex>
    <root>/ingest/<random>  <root>/ingest/<algorithm>-<hex>.partial

A blob is written to ingest/, verified, then renamed into place. It counts as stored only once a database row names it;
`sync` comes before that row. Blobs without a row are left-overs of a crash and swept at start.

What a download has brought is kept under the digest's name when it breaks off, so that the next one goes on there;
nobody but a download looks at it, and it is hashed again from its first byte. Until its image is published a complete
blob keeps that name beside its own (two links to one file): so a pull that is killed after some of its layers has them.
"""

import errno
import os
import secrets
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO

from scow.errors import DataLoss, NotFound, ResourceExhausted
from scow.linux import libc
from scow.oci.digest import Digest

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_PARTIAL = ".partial"
PARTIAL_AGE = 3 * 86400.0
"""Seconds for which a broken download is kept: from Friday evening to Monday morning."""
_RESERVE = 1 << 30
_RESERVE_SHARE = 50


class NoSpace(ResourceExhausted):
    """The disk is full, or would be."""


@contextmanager
def on_disk(what: str) -> Iterator[None]:
    """Errors of the file system become NoSpace (no room, quota) or ResourceExhausted, naming what could not be done."""
    try:
        yield
    except OSError as error:
        kind = NoSpace if error.errno in (errno.ENOSPC, errno.EDQUOT) else ResourceExhausted
        raise kind(f"cannot {what}: {(error.strerror or str(error)).lower()}") from error


class BlobStore:
    """Blobs below one directory. Methods are synchronous; those that handle large blobs run in worker threads."""

    def __init__(self, root: str, clock: Callable[[], float] = time.time) -> None:
        self.root = root
        self._ingest = f"{root}/ingest"
        self._clock = clock
        self._claimed: set[str] = set()
        self._claiming = threading.Lock()  # of what broke off: taken up by one, or removed by another
        for directory in (root, f"{root}/blobs", f"{root}/blobs/sha256", self._ingest):
            os.makedirs(directory, 0o700, exist_ok=True)
        layout = f"{root}/oci-layout"
        if not os.path.exists(layout):
            write_file(layout, _LAYOUT)

    def path(self, digest: Digest) -> str:
        return f"{self.root}/blobs/{digest.algorithm}/{digest.hex}"

    def has(self, digest: Digest) -> bool:
        return os.path.isfile(self.path(digest))

    def open(self, digest: Digest) -> FileIO:
        """A blob's file, as it lies on disk, to be read. NotFound when there is none."""
        try:
            return FileIO(self.path(digest))
        except FileNotFoundError:
            raise NotFound(f"blob {digest} is missing") from None

    def read(self, digest: Digest, limit: int) -> bytes:
        """A small blob (manifest, config), verified again: what lies on disk may have been damaged."""
        with self.open(digest) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit or digest_of(data, digest.algorithm) != digest:
            raise DataLoss(f"blob {digest} is damaged")
        return data

    def put(self, data: bytes, digest: Digest) -> None:
        """Store a small blob whose digest the caller has computed or checked. What is there already and damaged is
        replaced.
        """
        try:
            with open(self.path(digest), "rb") as stream:
                if stream.read(len(data) + 1) == data:
                    return
        except FileNotFoundError:
            pass
        ingest = self.ingest()
        try:
            ingest.write(data)
            ingest.commit(digest)
        finally:
            ingest.close()

    def put_all(self, documents: Mapping[Digest, bytes]) -> None:
        """Store small blobs; they, and everything that was stored before, are on disk when this returns."""
        for digest, data in documents.items():
            self.put(data, digest)
        sync(self.root)

    def ingest(self) -> "Ingest":
        """A new blob in the making."""
        return Ingest(self, f"{self._ingest}/{secrets.token_hex(12)}")

    def partial(self, digest: Digest, size: int) -> "Ingest":
        """The blob `digest` of `size` bytes in the making, with what an earlier download has left of it (`kept`)."""
        name = _partial_name(digest)
        path = f"{self._ingest}/{name}"
        with self._claiming:
            if name in self._claimed:  # somebody else is at it, for another layer with the same bytes
                return self.ingest()
            try:
                if os.stat(path).st_size > size:
                    os.unlink(path)
            except FileNotFoundError:
                pass
            return Ingest(self, path, name)

    def kept(self, digest: Digest) -> int:
        """How many bytes of a blob an earlier download has left."""
        try:
            return os.stat(f"{self._ingest}/{_partial_name(digest)}").st_size
        except FileNotFoundError:
            return 0

    def forget(self, digests: Iterable[Digest]) -> None:
        """Remove what downloads have left of these blobs: they are stored now, or of no use."""
        for digest in digests:
            self._forget(_partial_name(digest))

    def _forget(self, name: str) -> bool:
        with self._claiming:
            if name in self._claimed:
                return False
            _unlink(f"{self._ingest}/{name}")
            return True

    def forget_older(self, age: float = PARTIAL_AGE) -> int:
        """Remove what broken downloads have left and nobody has touched for `age` seconds; returns the bytes."""
        freed = 0
        for name in os.listdir(self._ingest):
            if not name.endswith(_PARTIAL):
                continue
            path = f"{self._ingest}/{name}"
            try:
                there = os.stat(path)
            except FileNotFoundError:
                continue
            if (age <= 0 or self._clock() - there.st_mtime > age) and self._forget(name):
                freed += there.st_size if there.st_nlink == 1 else 0
        return freed

    def need(self, size: int) -> None:
        """NoSpace unless `size` bytes fit on the disk and leave a reserve, without which logs and rm do not work."""
        disk = os.statvfs(self.root)
        free = disk.f_bavail * disk.f_frsize
        reserve = min(_RESERVE, disk.f_blocks * disk.f_frsize // _RESERVE_SHARE)
        if size + reserve > free:
            raise NoSpace(
                f"no space left on device: {size} bytes are needed and {reserve} kept in reserve on the file system of "
                f"{self.root}, {free} are free"
            )

    def adopt(self, path: str, digest: Digest) -> None:
        """Move a verified file on the same file system into the store."""
        os.makedirs(os.path.dirname(self.path(digest)), 0o700, exist_ok=True)
        os.rename(path, self.path(digest))

    def remove(self, digest: Digest) -> None:
        _unlink(self.path(digest))

    def sweep(self, keep: Container[str]) -> None:
        """At start: remove what no row names."""
        for name in os.listdir(self._ingest):
            digest = name.removesuffix(_PARTIAL).replace("-", ":", 1)
            if not name.endswith(_PARTIAL) or digest in keep:
                os.unlink(f"{self._ingest}/{name}")
        self.forget_older()
        for algorithm in os.listdir(f"{self.root}/blobs"):
            for name in os.listdir(f"{self.root}/blobs/{algorithm}"):
                if f"{algorithm}:{name}" not in keep:
                    os.unlink(f"{self.root}/blobs/{algorithm}/{name}")


class Ingest:
    """A blob that is being written. `close` removes what was not committed, unless it is to be gone on with."""

    def __init__(self, store: BlobStore, path: str, name: str = "") -> None:
        """`name` is that of a partial blob, which may be there already."""
        self._store = store
        self._path = path
        self._name = name
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if name else os.O_EXCL)
        with on_disk("write a blob"):
            self._fd = os.open(path, flags, 0o600)
        self.kept = os.fstat(self._fd).st_size
        self._committed = False
        if name:
            store._claimed.add(name)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes that are there."""
        return os.pread(self._fd, size, offset)

    def write(self, data: bytes | memoryview) -> None:
        """Append; NoSpace when the disk is full."""
        view = memoryview(data)
        with on_disk("write a blob"):
            while view:
                view = view[os.write(self._fd, view) :]

    def commit(self, digest: Digest) -> None:
        """Give the blob its name. The caller has verified that the bytes are the digest's."""
        target = self._store.path(digest)
        with on_disk("store a blob"):
            os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
            if not self._name:
                os.rename(self._path, target)
            else:
                try:
                    os.link(self._path, target)
                except FileExistsError:
                    pass
        self._committed = True

    def close(self, keep: bool = False) -> None:
        """With `keep` a partial blob stays for the next download."""
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        if not (self._committed or keep and self._name):
            _unlink(self._path)
        self._store._claimed.discard(self._name)


def _partial_name(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}{_PARTIAL}"


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def digest_of(data: bytes, algorithm: str) -> Digest:
    """The digest of bytes in memory by an algorithm that Digest knows."""
    import hashlib

    return Digest(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")


def sync(path: str) -> None:
    """Everything on the file system of `path` is on disk when this returns. Called once per image, not per file."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with on_disk(f"write {path} to disk"):
            libc.sync_filesystem(fd)
    finally:
        os.close(fd)


def write_file(path: str, data: bytes) -> None:
    """Replace a small file so that after a crash it is the old or the new one."""
    with on_disk(f"write {path}"):
        _replace_file(path, data)


def _replace_file(path: str, data: bytes) -> None:
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

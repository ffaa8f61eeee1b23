"""The content store: blobs by digest in an OCI image layout.

    <root>/oci-layout  <root>/index.json  <root>/blobs/<algorithm>/<hex>  <root>/ingest/<random>

A blob is written to ingest/, verified, then renamed into place. It counts as stored only once a database row names it;
`sync` comes before that row. Blobs without a row are left-overs of a crash and swept at start.
"""

import os
import secrets
from collections.abc import Container

from scow.errors import DataLoss, NotFound, ResourceExhausted
from scow.linux import libc
from scow.oci.digest import Digest

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class BlobStore:
    """Blobs below one directory. Methods are synchronous; those that handle large blobs run in worker threads."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._ingest = f"{root}/ingest"
        for directory in (root, f"{root}/blobs", f"{root}/blobs/sha256", self._ingest):
            os.makedirs(directory, 0o700, exist_ok=True)
        layout = f"{root}/oci-layout"
        if not os.path.exists(layout):
            write_file(layout, _LAYOUT)

    def path(self, digest: Digest) -> str:
        return f"{self.root}/blobs/{digest.algorithm}/{digest.hex}"

    def has(self, digest: Digest) -> bool:
        return os.path.isfile(self.path(digest))

    def read(self, digest: Digest, limit: int) -> bytes:
        """A small blob (manifest, config), verified again: what lies on disk may have been damaged."""
        try:
            with open(self.path(digest), "rb") as stream:
                data = stream.read(limit + 1)
        except FileNotFoundError:
            raise NotFound(f"blob {digest} is missing") from None
        if len(data) > limit or digest_of(data, digest.algorithm) != digest:
            raise DataLoss(f"blob {digest} is damaged")
        return data

    def put(self, data: bytes, digest: Digest) -> None:
        """Store a small blob whose digest the caller has computed or checked."""
        if self.has(digest):
            return
        ingest = self.ingest()
        try:
            ingest.write(data)
            ingest.commit(digest)
        finally:
            ingest.close()

    def ingest(self) -> "Ingest":
        """A new blob in the making."""
        return Ingest(self, f"{self._ingest}/{secrets.token_hex(12)}")

    def adopt(self, path: str, digest: Digest) -> None:
        """Move a verified file on the same file system into the store."""
        os.makedirs(os.path.dirname(self.path(digest)), 0o700, exist_ok=True)
        os.rename(path, self.path(digest))

    def remove(self, digest: Digest) -> None:
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            pass

    def sweep(self, keep: Container[str]) -> None:
        """At start: remove what no row names."""
        for name in os.listdir(self._ingest):
            os.unlink(f"{self._ingest}/{name}")
        for algorithm in os.listdir(f"{self.root}/blobs"):
            for name in os.listdir(f"{self.root}/blobs/{algorithm}"):
                if f"{algorithm}:{name}" not in keep:
                    os.unlink(f"{self.root}/blobs/{algorithm}/{name}")


class Ingest:
    """A blob that is being written. `close` removes what was not committed."""

    def __init__(self, store: BlobStore, path: str) -> None:
        self._store = store
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._committed = False

    def write(self, data: bytes | memoryview) -> None:
        """Append; ResourceExhausted when the disk is full."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise ResourceExhausted(f"cannot write a blob: {error.strerror}") from error

    def commit(self, digest: Digest) -> None:
        """Give the blob its name. The caller has verified that the bytes are the digest's."""
        directory = os.path.dirname(self._store.path(digest))
        os.makedirs(directory, 0o700, exist_ok=True)
        os.rename(self._path, self._store.path(digest))
        self._committed = True

    def close(self) -> None:
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        if not self._committed:
            try:
                os.unlink(self._path)
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
        libc.sync_filesystem(fd)
    except OSError as error:
        raise ResourceExhausted(f"cannot write {path} to disk: {error.strerror}") from error
    finally:
        os.close(fd)


def write_file(path: str, data: bytes) -> None:
    """Replace a small file so that after a crash it is the old or the new one."""
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

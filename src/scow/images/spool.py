"""An image archive from outside, taken apart into scratch files: what a load looks at before anything is believed.

Each regular file becomes one file with a name of ours, its size and SHA-256 taken while it is written. Links are kept
as text and followed only within the archive's own list of names, so no path of the archive ever reaches the file system.
"""

import hashlib
import os
import posixpath
from dataclasses import dataclass, field

from scow.errors import ResourceExhausted
from scow.images.archive import entry as kinds
from scow.images.archive.entry import Entry
from scow.images.archive.limits import InvalidArchive, Limits
from scow.images.archive.reader import TarReader
from scow.images.decompress import Decompressed, Source
from scow.oci.digest import Digest

MEMBERS = 100_000
"""How many members an archive of images may have: 127 layers of three files for some hundred images."""
_LINKS = 8


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A regular file of the archive: where it lies, its bytes, their digest."""

    path: str
    size: int
    digest: Digest

    def read(self, limit: int, what: str) -> bytes:
        """The content of a document; InvalidArchive when it is longer than `limit`."""
        if self.size > limit:
            raise InvalidArchive(f"{what} has {self.size} bytes, more than the {limit} allowed")
        with open(self.path, "rb") as stream:
            return stream.read()


@dataclass(slots=True)
class Spool:
    """The files and links of an archive by their cleaned names."""

    files: dict[str, SpooledFile] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return name in self.files or name in self.links

    def find(self, name: str) -> SpooledFile:
        """The file that a document of the archive calls `name`. InvalidArchive when there is none."""
        wanted = name
        for _ in range(_LINKS):
            clean = posixpath.normpath(wanted)
            if wanted.startswith("/") or clean.startswith("..") or "\0" in wanted:
                raise InvalidArchive(f"the path {name[:200]!r} leads out of the archive")
            if clean in self.files:
                return self.files[clean]
            if clean not in self.links:
                raise InvalidArchive(f"{name[:200]!r} is not in the archive")
            wanted = self.links[clean]
        raise InvalidArchive(f"too many links at {name[:200]!r}")


def spool(source: Source, directory: str, limits: Limits) -> Spool:
    """Take the archive that `source` delivers apart into the empty `directory`. Runs in a worker thread.

    gzip, zstd, xz and bzip2 around the archive are undone. InvalidArchive, ArchiveTooLarge, ResourceExhausted.
    """
    plain = Decompressed(source, limits, hashed=False)  # each file is, by itself
    reader = TarReader(plain, limits)
    result = Spool()
    for number, entry in enumerate(reader):
        if number >= MEMBERS:
            raise InvalidArchive(f"the archive has more than {MEMBERS} members")
        _take(entry, reader, result, f"{directory}/{number}")
    reader.drain()
    return result


def _take(entry: Entry, reader: TarReader, result: Spool, path: str) -> None:
    name = os.fsdecode(entry.name)
    if entry.kind == kinds.DIRECTORY:
        return
    if entry.kind == kinds.FILE and entry.extents is None:
        file = _write(reader, path)
        known = result.files.setdefault(name, file)
        if known.digest != file.digest or name in result.links:
            raise InvalidArchive(f"the archive has {name[:200]!r} twice")
        return
    if entry.kind == kinds.SYMLINK:
        target = posixpath.join(posixpath.dirname(name), os.fsdecode(entry.target))
    elif entry.kind == kinds.HARDLINK:
        target = os.fsdecode(entry.target)
    else:
        raise InvalidArchive(f"{name[:200]!r} is no plain file")
    if name in result.files or result.links.setdefault(name, target) != target:
        raise InvalidArchive(f"the archive has {name[:200]!r} twice")


def _write(reader: TarReader, path: str) -> SpooledFile:
    digest = hashlib.sha256()
    size = 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for piece in reader.content():
            digest.update(piece)
            size += len(piece)
            while piece:
                piece = piece[os.write(fd, piece) :]
    except OSError as error:
        raise ResourceExhausted(f"cannot write an image archive to disk: {error.strerror}") from error
    finally:
        os.close(fd)
    return SpooledFile(path, size, Digest(f"sha256:{digest.hexdigest()}"))

"""A context as an archive (tar, or zip when it is read): meta.json, and tls/ENDPOINT/FILE. As Docker's CLI has them.

Nothing is unpacked: what is read stays in memory until all of it is known to be right.
"""

from __future__ import annotations

import posixpath

from scow.cli.command import Exit
from scow.errors import ScowError
from scow.images.archive import entry as kinds
from scow.images.archive.reader import TarReader
from scow.images.archive.writer import block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 10 << 20
"""Bytes of an archive, and of what a zip holds: Docker's figure."""
TOO_LARGE = "read exceeds the defined limit"
_META = "meta.json"
_BLOCK = 512
_ENTRIES = 1000
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

Files = dict[str, dict[str, bytes]]
"""TLS files by endpoint and name."""


def pack(meta: bytes, files: Files) -> bytes:
    """A tar archive. Times and owners are nobody's."""
    parts = [*_member(_META, meta, 0o644), block(b"tls", b"5", mode=0o700)]
    for endpoint, named in sorted(files.items()):
        parts.append(block(f"tls/{endpoint}".encode(), b"5", mode=0o700))
        for name, content in sorted(named.items()):
            parts += _member(f"tls/{endpoint}/{name}", content, 0o600)
    return b"".join((*parts, bytes(2 * _BLOCK)))


def _member(name: str, content: bytes, mode: int) -> tuple[bytes, bytes, bytes]:
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) > 100:
        raise Exit(1, f"{name}: too long a name for an archive")
    return block(raw, b"0", mode=mode, size=len(content)), content, bytes(-len(content) % _BLOCK)


def unpack(data: bytes) -> tuple[bytes, Files]:
    """(meta.json, TLS files). Exit for what is not a context, has names that lead elsewhere, or is too large."""
    if len(data) > MOST:
        raise Exit(1, TOO_LARGE)
    meta: bytes | None = None
    files: Files = {}
    for name, content in _zip(data) if data.startswith(_ZIP) else _tar(data):
        if name == _META:
            meta = content
            continue
        _check(name)
        endpoint, slash, file = name.removeprefix("tls/").partition("/")
        if not slash or "/" in file:
            raise Exit(1, "archive format is invalid")
        files.setdefault(endpoint, {})[file] = content
    if meta is None:
        raise Exit(1, "invalid context: no metadata found")
    return meta, files


def _check(name: str) -> None:
    if not name.startswith("tls/"):
        raise Exit(1, f"{name}: unexpected context file")
    if posixpath.normpath(name) != name or "\0" in name:
        raise Exit(1, f"{name}: unexpected path format")
    if "\\" in name:
        raise Exit(1, rf"{name}: unexpected '\' in path")


def _tar(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Regular files. What Docker exports lacks the end: the last file is not filled up to a block."""
    chunks = [bytes(-len(data) % _BLOCK), data]
    reader = TarReader(lambda: chunks.pop() if chunks else b"")
    try:
        for count, entry in enumerate(reader):
            if count >= _ENTRIES:
                raise Exit(1, TOO_LARGE)
            if entry.kind != kinds.FILE:
                continue
            content = b"".join(map(bytes, reader.content()))
            if entry.extents is not None or (content and not chunks):  # the filling is no part of a file
                raise Exit(1, "unexpected EOF")
            yield entry.name.decode("utf-8", "surrogateescape"), content
    except ScowError as error:
        raise Exit(1, str(error)) from None


def _zip(data: bytes) -> Iterator[tuple[str, bytes]]:
    import io
    import stat
    import zipfile
    import zlib

    left = MOST
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > _ENTRIES:
                raise Exit(1, TOO_LARGE)
            for info in infos:
                kind = stat.S_IFMT(info.external_attr >> 16)
                if info.is_dir() or kind not in (0, stat.S_IFREG):
                    continue
                with archive.open(info) as stream:
                    content = stream.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise Exit(1, TOO_LARGE)
                yield info.filename, content
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise Exit(1, f"zip: not a valid zip file: {error}") from None

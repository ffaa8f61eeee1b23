"""The archive writer: a directory tree as a layer, the same bytes for the same tree.

POSIX ustar with PAX records where a value does not fit, names in byte order, times in whole seconds, no user names. An
overlayfs upper directory is written as a layer: 0/0 devices become whiteouts, opaque directories get their mark.
"""

import os
import stat
from collections.abc import Callable

from scow.errors import DataLoss
from scow.images.archive.header import BLOCK
from scow.images.archive.xattrs import kept

Emit = Callable[[bytes], object]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_OCTAL_ID = 0o7777777
_OCTAL_SIZE = 0o77777777777
_OPAQUE_XATTR = "trusted.overlay.opaque"
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"


class TreeChanged(DataLoss):
    """A file changed while it was being written into an archive."""


class TarWriter:
    """Writes one tree: `TarWriter(emit).tree(fd)`, which also ends the archive."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._links: dict[tuple[int, int], bytes] = {}

    def tree(self, root: int) -> None:
        """Everything below the directory fd `root` (not the root itself), then the end of the archive."""
        self._directory(root, b"")
        self._emit(bytes(2 * BLOCK))

    def _directory(self, directory: int, prefix: bytes) -> None:
        for name in sorted(os.fsencode(text) for text in os.listdir(directory)):
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
            path = prefix + name
            if stat.S_ISDIR(there.st_mode):
                fd = os.open(name, _DIRECTORY, dir_fd=directory)
                try:
                    xattrs = _xattrs(fd)
                    self._header(path + b"/", b"5", there, xattrs=xattrs)
                    if _is_opaque(fd):
                        self._header(path + b"/" + _OPAQUE, b"0", there, mode=0)
                    self._directory(fd, path + b"/")
                finally:
                    os.close(fd)
            elif stat.S_ISCHR(there.st_mode) and there.st_rdev == 0:
                self._header(prefix + _WHITEOUT + name, b"0", there, mode=0)
            else:
                self._file(directory, name, path, there)

    def _file(self, directory: int, name: bytes, path: bytes, there: os.stat_result) -> None:
        inode = (there.st_dev, there.st_ino)
        if there.st_nlink > 1 and inode in self._links:
            self._header(path, b"1", there, target=self._links[inode])
            return
        if stat.S_ISREG(there.st_mode):
            self._regular(directory, name, path, there)
        elif stat.S_ISLNK(there.st_mode):
            self._header(path, b"2", there, target=os.readlink(name, dir_fd=directory))
        elif stat.S_ISFIFO(there.st_mode):
            self._header(path, b"6", there)
        elif stat.S_ISCHR(there.st_mode) or stat.S_ISBLK(there.st_mode):
            self._header(path, b"3" if stat.S_ISCHR(there.st_mode) else b"4", there)
        else:
            return  # sockets live only as long as their process
        if there.st_nlink > 1:
            self._links[inode] = path

    def _regular(self, directory: int, name: bytes, path: bytes, there: os.stat_result) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        try:
            there = os.fstat(fd)
            self._header(path, b"0", there, size=there.st_size, xattrs=_xattrs(fd))
            left = there.st_size
            while left:
                chunk = os.read(fd, min(left, _CHUNK))
                if not chunk:
                    raise TreeChanged(f"{os.fsdecode(path)!r} became shorter while it was read")
                self._emit(chunk)
                left -= len(chunk)
            self._emit(bytes(-there.st_size % BLOCK))
        finally:
            os.close(fd)

    def _header(
        self,
        path: bytes,
        flag: bytes,
        there: os.stat_result,
        *,
        size: int = 0,
        target: bytes = b"",
        mode: int | None = None,
        xattrs: dict[str, bytes] | None = None,
    ) -> None:
        mtime = max(0, there.st_mtime_ns // 1_000_000_000)
        records = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
        for key, number, limit in (
            ("uid", there.st_uid, _OCTAL_ID),
            ("gid", there.st_gid, _OCTAL_ID),
            ("size", size, _OCTAL_SIZE),
            ("mtime", mtime, _OCTAL_SIZE),
        ):
            if number > limit:
                records[key] = str(number).encode()
        if len(path) > 100 or not path.isascii():
            records["path"] = path
        if len(target) > 100 or not target.isascii():
            records["linkpath"] = target
        if records:
            self._extended(records, path)
        device = there.st_rdev if flag in (b"3", b"4") else 0
        self._emit(
            block(
                path,
                flag,
                mode=stat.S_IMODE(there.st_mode) if mode is None else mode,
                uid=there.st_uid,
                gid=there.st_gid,
                size=size,
                mtime=mtime,
                target=target,
                device=(os.major(device), os.minor(device)),
            )
        )

    def _extended(self, records: dict[str, bytes], path: bytes) -> None:
        data = b"".join(_record(key, records[key]) for key in sorted(records))
        name = b"PaxHeaders.0/" + path.rstrip(b"/").rpartition(b"/")[2]
        self._emit(block(name, b"x", mode=0o644, size=len(data)))
        self._emit(data + bytes(-len(data) % BLOCK))


def block(
    path: bytes,
    flag: bytes,
    *,
    mode: int = 0,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """A ustar header; values that do not fit are cut, because a PAX record before it says them."""
    fields = (
        path[:100].ljust(100, b"\0"),
        _octal(mode, 8),
        _octal(uid if uid <= _OCTAL_ID else 0, 8),
        _octal(gid if gid <= _OCTAL_ID else 0, 8),
        _octal(size if size <= _OCTAL_SIZE else 0, 12),
        _octal(mtime if mtime <= _OCTAL_SIZE else 0, 12),
        b" " * 8,
        flag,
        target[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        _octal(device[0], 8),
        _octal(device[1], 8),
        bytes(167),
    )
    raw = b"".join(fields)
    return raw[:148] + b"%06o\0 " % sum(raw) + raw[156:]


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _record(key: str, value: bytes) -> bytes:
    """`length key=value newline`, where the length counts its own digits."""
    body = b" " + key.encode("utf-8", "surrogateescape") + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


def _xattrs(fd: int) -> dict[str, bytes]:
    return {key: os.getxattr(fd, key) for key in os.listxattr(fd) if kept(key)}


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE_XATTR) == b"y"
    except OSError:
        return False

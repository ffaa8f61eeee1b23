"""The archive writer: headers, contents and whiteouts of a layer or of a whole file system.

POSIX ustar with PAX records where a value does not fit, no user names, no access times: the same files give the same
bytes. What to write, and in which order, is the business of scow.images.differ.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable
from typing import Protocol

from scow.errors import DataLoss
from scow.images.archive.bound import BYTECODE, Bound
from scow.images.archive.header import BLOCK
from scow.images.archive.xattrs import kept
from scow.images.merged import FILE

Emit = Callable[[bytes], object]

_CHUNK = 1 << 20
_FLUSH = 1 << 20
_SECOND = 1_000_000_000
_OCTAL_ID = 0o7777777
_OCTAL_SIZE = 0o77777777777
_XATTR = "SCHILY.xattr."
_ZEROS = bytes(_CHUNK)
WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"


class Attributes(Protocol):
    """What a header says of a file: an os.stat_result, or what has these of it."""

    @property
    def st_mode(self) -> int: ...

    @property
    def st_uid(self) -> int: ...

    @property
    def st_gid(self) -> int: ...

    @property
    def st_mtime_ns(self) -> int: ...


class TreeChanged(DataLoss):
    """A file changed while it was being written into an archive."""


class TarWriter:
    """Writes entries in the order of the calls; `end` closes the archive. `emit` gets pieces of about a megabyte.

    Paths have no leading slash; those of directories end with one.
    """

    def __init__(
        self, emit: Emit, *, whole_seconds: bool = False, lenient: bool = False, bound: Bound | None = None
    ) -> None:
        """`whole_seconds` drops the fractions of times (for trees that are made anew and must come out the same);
        `lenient` fills a file that shrinks while it is read with zeros; times are bounded by `bound`.
        """
        self._bound = bound
        self._emit = emit
        self._whole_seconds = whole_seconds
        self._lenient = lenient
        self._buffer = bytearray()
        self._links: dict[tuple[int, int], bytes] = {}

    def directory(self, path: bytes, fd: int, there: os.stat_result) -> None:
        """A directory, whose xattrs are read through `fd`."""
        self._header(path, b"5", there, xattrs=xattrs_of(fd))

    def file(self, directory: int, name: bytes, path: bytes, there: os.stat_result) -> None:
        """Anything but a directory: `name` in the directory fd, which `there` was read from. Sockets are left out.

        Raises TreeChanged when a file shrinks while it is read, FileNotFoundError when it has gone.
        """
        inode = (there.st_dev, there.st_ino)
        if there.st_nlink > 1:
            first = self._links.get(inode)
            if first is not None:
                self._header(path, b"1", there, target=first)
                return
        mode = there.st_mode
        if stat.S_ISREG(mode):
            self._regular(directory, name, path)
        elif stat.S_ISLNK(mode):
            self._header(path, b"2", there, target=os.readlink(name, dir_fd=directory))
        elif stat.S_ISFIFO(mode):
            self._header(path, b"6", there)
        elif stat.S_ISCHR(mode):
            self._header(path, b"3", there, device=there.st_rdev)
        elif stat.S_ISBLK(mode):
            self._header(path, b"4", there, device=there.st_rdev)
        else:
            return  # a socket lives only as long as its process
        if there.st_nlink > 1:
            self._links[inode] = path

    def member(
        self,
        path: bytes,
        flag: bytes,
        there: "Attributes",
        *,
        size: int = 0,
        target: bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[str, bytes] | None = None,
        content: Iterable[bytes] = (),
    ) -> None:
        """An entry whose parts are all at hand; `content` must have `size` bytes, TreeChanged when it has fewer or more."""
        self._header(path, flag, there, size=size, target=target, device=os.makedev(*device), xattrs=xattrs)
        left = size
        for piece in content:
            left -= len(piece)
            if left < 0:
                break
            self._put(piece)
        if left:
            raise TreeChanged(f"{os.fsdecode(path)!r} changed while it was read")
        self._put(bytes(-size % BLOCK))

    def whiteout(self, directory: bytes, name: bytes) -> None:
        """`name` is not in `directory` any more. Nothing of the moment goes in, so that digests can be the same."""
        path = directory + WHITEOUT + name
        if len(path) > 100 or not path.isascii():
            self._extended({"path": path}, path)
        self._put(block(path, b"0"))

    def opaque(self, directory: bytes) -> None:
        """Nothing that lower layers have in `directory` shows through."""
        self.whiteout(directory, OPAQUE[len(WHITEOUT) :])

    def end(self) -> None:
        """The end of the archive: two empty blocks, and everything handed over."""
        self._put(bytes(2 * BLOCK))
        self._flush()

    # ------------------------------------------------------------ contents

    def _regular(self, directory: int, name: bytes, path: bytes) -> None:
        fd = self._open(directory, name)
        try:
            there = os.fstat(fd)
            size = there.st_size
            self._header(path, b"0", there, size=size, xattrs=xattrs_of(fd))
            if size:
                if size >= _CHUNK and there.st_blocks * 512 < size:
                    self._sparse(fd, size, path)
                else:
                    self._content(fd, size, path, self._bound if name.endswith(BYTECODE) else None)
                self._put(bytes(-size % BLOCK))
        finally:
            os.close(fd)

    def _open(self, directory: int, name: bytes) -> int:
        return os.open(name, FILE, dir_fd=directory)

    def _content(self, fd: int, size: int, path: bytes, bound: Bound | None = None) -> None:
        while size:
            chunk = os.read(fd, min(size, _CHUNK))
            if bound is not None:
                chunk, bound = bound.bytecode(chunk), None
            if not chunk:
                if self._lenient:
                    self._zeros(size)
                    return
                raise TreeChanged(f"{os.fsdecode(path)!r} became shorter while it was read")
            self._put(chunk)
            size -= len(chunk)

    def _sparse(self, fd: int, size: int, path: bytes) -> None:
        """Holes are written as zeros without being read.

        GNU's sparse entries would be shorter, but Docker cannot push a layer that has some: it does not reproduce them.
        """
        position = 0
        while position < size:
            start = _seek(fd, position, os.SEEK_DATA, size)
            self._zeros(start - position)
            if start >= size:
                return
            end = _seek(fd, start, os.SEEK_HOLE, size)
            os.lseek(fd, start, os.SEEK_SET)
            self._content(fd, end - start, path)
            position = end

    def _zeros(self, count: int) -> None:
        while count:
            step = min(count, _CHUNK)
            self._put(_ZEROS[:step])
            count -= step

    # ------------------------------------------------------------ headers

    def _header(
        self,
        path: bytes,
        flag: bytes,
        there: Attributes,
        *,
        size: int = 0,
        target: bytes = b"",
        device: int = 0,
        xattrs: dict[str, bytes] | None = None,
    ) -> None:
        uid, gid = there.st_uid, there.st_gid
        mtime = there.st_mtime_ns if self._bound is None else self._bound.of(there.st_mtime_ns)
        seconds, fraction = divmod(mtime, _SECOND)
        if self._whole_seconds:
            fraction = 0
        records: dict[str, bytes] = {_XATTR + key: value for key, value in xattrs.items()} if xattrs else {}
        if fraction or not 0 <= seconds <= _OCTAL_SIZE:
            records["mtime"] = _decimal(mtime if fraction else seconds * _SECOND)
        if uid > _OCTAL_ID:
            records["uid"] = b"%d" % uid
        if gid > _OCTAL_ID:
            records["gid"] = b"%d" % gid
        if size > _OCTAL_SIZE:
            records["size"] = b"%d" % size
        if len(path) > 100 or not path.isascii():
            records["path"] = path
        if target and (len(target) > 100 or not target.isascii()):
            records["linkpath"] = target
        if records:
            self._extended(records, path)
        self._put(
            block(
                path,
                flag,
                mode=stat.S_IMODE(there.st_mode),
                uid=uid,
                gid=gid,
                size=size,
                mtime=seconds,
                target=target,
                device=(os.major(device), os.minor(device)) if device else (0, 0),
            )
        )

    def _extended(self, records: dict[str, bytes], path: bytes) -> None:
        data = b"".join(record(key, records[key]) for key in sorted(records))
        name = b"PaxHeaders.0/" + path.rstrip(b"/").rpartition(b"/")[2]
        self._put(block(name, b"x", mode=0o644, size=len(data)))
        self._put(data + bytes(-len(data) % BLOCK))

    def _put(self, data: bytes) -> None:
        if len(data) >= _FLUSH:
            self._flush()
            self._emit(data)
            return
        self._buffer += data
        if len(self._buffer) >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            data, self._buffer = bytes(self._buffer), bytearray()
            self._emit(data)


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
    raw = b"".join(
        (
            path[:100].ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0%011o\0%011o\0        "
            % (
                mode,
                uid if uid <= _OCTAL_ID else 0,
                gid if gid <= _OCTAL_ID else 0,
                size if size <= _OCTAL_SIZE else 0,
                mtime if 0 <= mtime <= _OCTAL_SIZE else 0,
            ),
            flag,
            target[:100].ljust(100, b"\0"),
            _MAGIC,
            b"%07o\0%07o\0" % device,
            _TAIL,
        )
    )
    return raw[:148] + b"%06o\0 " % sum(raw) + raw[156:]


_MAGIC = b"ustar\x0000" + bytes(64)
_TAIL = bytes(167)


def xattrs_of(fd: int) -> dict[str, bytes] | None:
    """The attributes that travel, None when there are none."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return None
        raise
    return {key: os.getxattr(fd, key) for key in names if kept(key)} if names else None


def _seek(fd: int, position: int, whence: int, size: int) -> int:
    """SEEK_DATA or SEEK_HOLE, `size` where nothing follows."""
    try:
        return min(os.lseek(fd, position, whence), size)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        raise


def _decimal(nanoseconds: int) -> bytes:
    """Seconds with as many decimals as needed."""
    sign, nanoseconds = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    seconds, fraction = divmod(nanoseconds, _SECOND)
    return f"{sign}{seconds}.{fraction:09d}".rstrip("0").rstrip(".").encode()


def record(key: str, value: bytes) -> bytes:
    """A PAX record: `length key=value newline`, where the length counts its own digits."""
    body = b" " + key.encode("utf-8", "surrogateescape") + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body

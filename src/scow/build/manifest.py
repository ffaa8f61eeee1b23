"""What a client that sends only changed files says of its context, and how the files follow. Pure: bytes in, values out.

manifest   SCOWCTX1, then for each file the record `_RECORD`, its path, and `extra`
contents   for each file that was asked for, in the order asked: size (8 bytes), that many bytes, one byte: 1 when the file was
           the same before and after it was read, and its times are old enough that another change would show in them

Numbers are little-endian; times in Unix nanoseconds.
"""

from __future__ import annotations

import struct

from scow.errors import DataLoss, InvalidArgument, ResourceExhausted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAGIC = b"SCOWCTX1"
FILE, DIRECTORY, SYMLINK, FIFO, INLINE = range(1, 6)
_RECORD = struct.Struct("<BHHIQqqQQ")
_SIZE = struct.Struct("<Q")
_LONGEST = 4096
_DEEPEST = 255
_PIECE = 1 << 20


class Stated:
    """One file. `extra`: a link's target, or the content of an INLINE file. `settled` is what contents end with.

    Size, times, inode and device are a FILE's: together with the path they tell this content from any other.
    """

    __slots__ = ("ctime", "device", "extra", "inode", "kind", "mode", "mtime", "path", "size")

    def __init__(
        self,
        kind: int,
        mode: int,
        path: bytes,
        extra: bytes,
        size: int,
        mtime: int,
        ctime: int,
        inode: int,
        device: int,
    ) -> None:
        self.kind = kind
        self.mode = mode
        self.path = path
        self.extra = extra
        self.size = size
        self.mtime = mtime
        self.ctime = ctime
        self.inode = inode
        self.device = device

    @property
    def identity(self) -> tuple[int, int, int, int, int]:
        return (self.size, self.mtime, self.ctime, self.inode, self.device)

    def encoded(self) -> bytes:
        fixed = _RECORD.pack(self.kind, self.mode, len(self.path), len(self.extra), *self.identity)
        return fixed + self.path + self.extra


def parse(data: bytes, entries: int) -> list[Stated]:
    """The files of a manifest. InvalidArgument for what is none, ResourceExhausted for more than `entries`."""
    if not data.startswith(MAGIC):
        raise InvalidArgument("the manifest of the context does not begin as one")
    found: list[Stated] = []
    seen: set[bytes] = set()
    at, end = len(MAGIC), len(data)
    while at < end:
        if end - at < _RECORD.size:
            raise InvalidArgument("the manifest of the context was cut off")
        kind, mode, path_length, extra_length, *identity = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        path = data[at : at + path_length]
        at += path_length
        extra = data[at : at + extra_length]
        at += extra_length
        if at > end:
            raise InvalidArgument("the manifest of the context was cut off")
        _check(kind, mode, path, extra)
        if path in seen:
            raise InvalidArgument(f"the manifest of the context has {path!r} twice")
        if len(found) == entries:
            raise ResourceExhausted(f"the context has more than {entries} files")
        seen.add(path)
        found.append(Stated(kind, mode, path, extra, *identity))
    return found


def _check(kind: int, mode: int, path: bytes, extra: bytes) -> None:
    if not FILE <= kind <= INLINE or mode > 0o7777:
        raise InvalidArgument(f"the manifest of the context has a file of kind {kind} and mode {mode:o}")
    if not path or len(path) > _LONGEST or b"\0" in path or path.count(b"/") >= _DEEPEST:
        raise InvalidArgument("the manifest of the context has a path that is none")
    for name in path.split(b"/"):
        if name in (b"", b".", b"..") or len(name) > 255:
            raise InvalidArgument(f"the manifest of the context has the path {path!r}")
    if kind == SYMLINK:
        if not extra or len(extra) > _LONGEST or b"\0" in extra:
            raise InvalidArgument(f"the manifest of the context has a link {path!r} with no target")
    elif extra and kind != INLINE:
        raise InvalidArgument(f"the manifest of the context says too much of {path!r}")


def frame(size: int) -> bytes:
    """What goes before a file's bytes."""
    return _SIZE.pack(size)


class Contents:
    """Files one after the other out of pieces that `read` gives (b"" at the end). DataLoss for a stream that is cut off."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._rest = b""

    def size(self) -> int:
        """Of the next file."""
        return int(_SIZE.unpack(self._exactly(_SIZE.size))[0])

    def content(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes."""
        while size:
            piece = self._some(size)
            size -= len(piece)
            yield piece

    def settled(self) -> bool:
        return self._exactly(1) == b"\1"

    def end(self) -> None:
        """Nothing more must come."""
        if self._rest or self._read():
            raise DataLoss("more files were sent than were asked for")

    def _exactly(self, count: int) -> bytes:
        return b"".join(self.content(count))

    def _some(self, most: int) -> bytes:
        if not self._rest:
            self._rest = self._read()
            if not self._rest:
                raise DataLoss("the context was cut off")
        piece, self._rest = self._rest[:most], self._rest[most:]
        return piece

"""The archive reader: ustar, PAX, GNU and V7 tar as a stream of entries.

It reads what Docker, GNU tar, bsdtar and Go write, and refuses what two readers could understand differently
(CVE-2025-62518). It pulls decompressed chunks from a function, so that it runs in a worker thread beside the hashing;
content is handed out as views of those chunks, without a copy. It never touches the file system.
"""

from collections.abc import Callable, Iterator

from scow.images.archive import entry as kinds
from scow.images.archive import header, pax, sparse
from scow.images.archive.entry import Entry
from scow.images.archive.header import BLOCK
from scow.images.archive.limits import BAD_HEADER, CUT_OFF, DEFAULT, ArchiveTooLarge, InvalidArchive, Limits, shown

_KINDS = {
    b"0": kinds.FILE,
    b"\0": kinds.FILE,
    b"7": kinds.FILE,
    b"S": kinds.FILE,
    b"1": kinds.HARDLINK,
    b"2": kinds.SYMLINK,
    b"3": kinds.CHARACTER,
    b"4": kinds.BLOCK,
    b"5": kinds.DIRECTORY,
    b"6": kinds.FIFO,
}
_GLOBAL_KEYS = frozenset({"comment", "charset", "hdrcharset"})
_XATTR = "SCHILY.xattr."
_ID_LIMIT = (1 << 32) - 2


class TarReader:
    """Iterate over it once; between two entries read `content()` or leave it, it is skipped."""

    def __init__(self, source: Callable[[], bytes], limits: Limits = DEFAULT) -> None:
        """`source` gives the next chunk of the archive, b"" at its end."""
        self._source = source
        self._limits = limits
        self._chunk = b""
        self._view = memoryview(b"")
        self._position = 0
        self._unread = 0  # bytes of the current entry's content
        self._padding = 0
        self._entries = 0

    def __iter__(self) -> Iterator[Entry]:
        while True:
            entry = self._next()
            if entry is None:
                return
            yield entry

    def content(self) -> Iterator[memoryview]:
        """The stored content of the current entry, in pieces that are valid until the next one is asked for."""
        while self._unread:
            available = len(self._chunk) - self._position
            if not available:
                self._refill("the archive ends within a file")
                continue
            size = min(available, self._unread)
            piece = self._view[self._position : self._position + size]
            self._position += size
            self._unread -= size
            yield piece

    def drain(self) -> None:
        """Read the source to its end, whatever follows the archive there (digests cover it)."""
        while self._source():
            pass

    def _refill(self, complaint: str) -> None:
        self._chunk = self._source()
        self._view = memoryview(self._chunk)
        self._position = 0
        if not self._chunk:
            raise InvalidArchive(complaint)

    def _take(self, size: int) -> bytes:
        """Exactly `size` bytes; `size` is bounded by the caller."""
        position = self._position
        end = position + size
        if end <= len(self._chunk):
            self._position = end
            return self._chunk[position:end]
        parts = [self._chunk[position:]]
        missing = size - len(parts[0])
        self._position = len(self._chunk)
        while missing:
            self._refill(CUT_OFF)
            part = self._chunk[:missing]
            self._position = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        while size:
            available = len(self._chunk) - self._position
            if not available:
                self._refill(CUT_OFF)
                continue
            step = min(available, size)
            self._position += step
            size -= step

    def _at_end(self) -> bool:
        """Whether nothing follows. An archive may end without its two zero blocks."""
        if self._position < len(self._chunk):
            return False
        self._chunk = self._source()
        self._view = memoryview(self._chunk)
        self._position = 0
        return not self._chunk

    def _next(self) -> Entry | None:
        """The next member with its extended headers applied."""
        self._skip(self._unread + self._padding)
        self._unread = self._padding = 0
        extended: dict[str, bytes] = {}
        long_name = long_target = b""
        pending = False
        while True:
            if self._at_end():
                if pending:
                    raise InvalidArchive("the archive ends after an extended header")
                return None
            block = self._take(BLOCK)
            if block == header.ZERO:
                if pending:
                    raise InvalidArchive("the archive ends after an extended header")
                if not self._at_end() and self._take(BLOCK) != header.ZERO:
                    raise InvalidArchive("a lone zero block within the archive")
                return None
            self._count()
            if not header.checksum_matches(block):
                raise InvalidArchive(BAD_HEADER)
            flag = block[156:157]
            if flag == b"x":
                extended = pax.records(self._extension(block))
            elif flag == b"g":
                self._check_global(pax.records(self._extension(block)))
                continue
            elif flag == b"L":
                long_name = self._extension(block).rstrip(b"\0")
            elif flag == b"K":
                long_target = self._extension(block).rstrip(b"\0")
            else:
                return self._member(block, flag, extended, long_name, long_target)
            pending = True

    def _count(self) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise ArchiveTooLarge(f"the archive has more than {self._limits.entries} entries")

    def _extension(self, block: bytes) -> bytes:
        size = header.number(block, 124, 12)
        if not 0 <= size <= self._limits.extended_header:
            raise ArchiveTooLarge(
                f"an extended tar header of {size} bytes is larger than {self._limits.extended_header}"
            )
        data = self._take(size)
        self._skip(-size % BLOCK)
        return data

    def _check_global(self, records: dict[str, bytes]) -> None:
        """Readers disagree about global headers: only those without effect are let through."""
        for key in records:
            if key not in _GLOBAL_KEYS:
                raise InvalidArchive(f"a global PAX header sets {shown(key[:80])}")

    def _member(
        self, block: bytes, flag: bytes, extended: dict[str, bytes], long_name: bytes, long_target: bytes
    ) -> Entry:
        kind = _KINDS.get(flag)
        if kind is None:
            raise InvalidArchive(f"unsupported tar entry type {shown(flag)}")
        name = header.text(block, 0, 100)
        if header.is_posix(block):
            prefix = header.text(block, 345, 155)
            if prefix:
                name = prefix + b"/" + name
        name = self._one_of(extended.get("path"), long_name, name)
        target = self._one_of(extended.get("linkpath"), long_target, header.text(block, 157, 100))
        size = self._size(block, extended)
        if "GNU.sparse.name" in extended:
            name = extended["GNU.sparse.name"]
        if kind == kinds.FILE and name.endswith(b"/"):
            if size:
                raise InvalidArchive(f"{shown(name[:80])} is a directory with content")
            kind = kinds.DIRECTORY
        entry = Entry(self._clean(name), kind)
        if kind == kinds.HARDLINK:
            entry.target = self._clean(target)
            if size and "size" in extended:  # content to GNU tar, none to others
                raise InvalidArchive(f"hard link {shown(name[:80])} has a size of its own")
            size = 0  # old archivers repeat the file's size, without content
        elif kind == kinds.SYMLINK:
            entry.target = target
            if not target or len(target) > self._limits.name or b"\0" in target:
                raise InvalidArchive(f"symbolic link {shown(name[:80])} has an invalid target")
        if size and kind != kinds.FILE:
            raise InvalidArchive(f"{shown(name[:80])} is a {kind} with content")
        self._attributes(entry, block, extended)
        entry.size = entry.stored = size
        self._unread = size
        self._padding = -size % BLOCK
        if flag == b"S" or any(key.startswith("GNU.sparse.") for key in extended):
            self._apply_sparse(entry, block, flag, extended)
        return entry

    def _one_of(self, extended: bytes | None, long: bytes, short: bytes) -> bytes:
        """A name from the PAX record, else GNU's long entry, else the block; the first two must not contradict."""
        if extended is None:
            return long or short
        if long and long != extended:
            raise InvalidArchive("an entry has two different long names")
        return extended

    def _size(self, block: bytes, extended: dict[str, bytes]) -> int:
        size = header.number(block, 124, 12)
        if "size" in extended:
            announced = pax.integer(extended["size"], "size")
            if size not in (0, announced):
                raise InvalidArchive(f"an entry has two sizes, {size} and {announced}")
            size = announced
        if not 0 <= size <= self._limits.bytes:
            raise ArchiveTooLarge(f"an entry of {size} bytes is larger than the {self._limits.bytes} allowed")
        return size

    def _clean(self, name: bytes) -> bytes:
        """The name without leading and doubled slashes and single dots; two dots are refused."""
        limits = self._limits
        if len(name) > limits.name:
            raise ArchiveTooLarge(f"a name of {len(name)} bytes is longer than the {limits.name} allowed")
        if b"\0" in name or not name:
            raise InvalidArchive("an entry has no valid name")
        parts = [part for part in name.split(b"/") if part and part != b"."]
        if b".." in parts:
            raise InvalidArchive(f"the name {shown(name[:80])} leads out of the archive")
        if len(parts) > limits.depth or (parts and len(max(parts, key=len)) > limits.component):
            raise ArchiveTooLarge(f"the name {shown(name[:80])} is nested too deeply or has too long a part")
        return b"/".join(parts)

    def _attributes(self, entry: Entry, block: bytes, extended: dict[str, bytes]) -> None:
        entry.mode = header.number(block, 100, 8) & 0o7777
        entry.uid = header.number(block, 108, 8)
        entry.gid = header.number(block, 116, 8)
        entry.mtime = header.number(block, 136, 12) * 1_000_000_000
        if entry.kind in (kinds.CHARACTER, kinds.BLOCK):
            entry.major = header.number(block, 329, 8)
            entry.minor = header.number(block, 337, 8)
            if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
                raise InvalidArchive(f"{shown(entry.name[:80])} has an impossible device number")
        if extended:
            self._extended_attributes(entry, extended)
        if not (0 <= entry.uid <= _ID_LIMIT and 0 <= entry.gid <= _ID_LIMIT):
            raise InvalidArchive(f"{shown(entry.name[:80])} has an impossible owner {entry.uid}:{entry.gid}")

    def _extended_attributes(self, entry: Entry, extended: dict[str, bytes]) -> None:
        if "uid" in extended:
            entry.uid = pax.integer(extended["uid"], "uid")
        if "gid" in extended:
            entry.gid = pax.integer(extended["gid"], "gid")
        if "mtime" in extended:
            entry.mtime = pax.nanoseconds(extended["mtime"], "mtime")
        for key, value in extended.items():
            if key.startswith(_XATTR):
                if entry.xattrs is None:
                    entry.xattrs = {}
                entry.xattrs[key[len(_XATTR) :]] = value

    def _apply_sparse(self, entry: Entry, block: bytes, flag: bytes, extended: dict[str, bytes]) -> None:
        if entry.kind != kinds.FILE:
            raise InvalidArchive(f"{shown(entry.name[:80])} is sparse and no file")
        if flag == b"S":
            entry.extents, entry.size = sparse.old_gnu(block, self._take, self._limits)
        else:
            entry.extents, entry.size, used = sparse.extended(extended, self._take, entry.stored, self._limits)
            entry.stored -= used
            self._unread = entry.stored
        if sum(length for _, length in entry.extents) != entry.stored:
            raise InvalidArchive(f"the sparse map of {shown(entry.name[:80])} does not fit its content")

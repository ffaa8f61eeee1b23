"""A log and its rotated files as one sequence of blocks of complete lines, oldest first; also while it grows.

Files are opened newest first and never through a link (CVE-2026-53489), so that a rotation in between neither hides
nor doubles one. A rotated file may be compressed.
"""

import os
import stat
import struct
import zlib
from collections import deque

from scow.errors import DataLoss

BLOCK = 256 << 10
_MAX_LINE = 4 << 20
_START = b'{"log":"'
_SCAN = 64 << 10
_MOST_FILES = 1000


class Source:
    """One open file of the sequence. `offset` counts the plain bytes that were given out."""

    def __init__(self, fd: int, status: os.stat_result, *, compressed: bool) -> None:
        self.fd = fd
        self.identity = (status.st_dev, status.st_ino)
        self.compressed = compressed
        self.offset = 0
        self.rest = b""
        self._engine = zlib.decompressobj(31)
        self._raw = b""

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end (for now). A damaged compressed file ends where the damage begins."""
        if not self.compressed:
            data = os.pread(self.fd, size, self.offset)
            self.offset += len(data)
            return data
        while True:
            if self._engine.eof:
                self._raw = self._engine.unused_data
                self._engine = zlib.decompressobj(31)
            if not self._raw:
                self._raw = os.read(self.fd, _SCAN)
                if not self._raw:
                    return b""
            try:
                data = self._engine.decompress(self._raw, size)
            except zlib.error:
                self._raw = b""
                os.lseek(self.fd, 0, os.SEEK_END)
                return b""
            self._raw = self._engine.unconsumed_tail
            if data:
                self.offset += len(data)
                return data

    def block(self) -> bytes:
        """The next complete lines; b"" when there is no complete line left (for now)."""
        data = self.rest
        while True:
            more = self.read(BLOCK)
            data = data + more if data else more
            cut = data.rfind(b"\n") + 1
            if cut:
                self.rest = data[cut:]
                return data[:cut]
            if not more:
                self.rest = data
                return b""
            if len(data) > _MAX_LINE:  # no record is as long: a hole or another file's bytes
                start = data.rfind(_START)
                data = data[start:] if start > 0 else data[1 - len(_START) :]

    def restart(self) -> None:
        """Begin again at the start: the file was truncated."""
        self.offset = 0
        self.rest = b""

    def seek_tail(self, count: int) -> int:
        """Place the offset before the last `count` lines; returns how many lines there are up to that number."""
        if self.compressed:
            return self._seek_tail_compressed(count)
        position = os.fstat(self.fd).st_size
        lines = -1  # the newline of the last line ends it, it does not begin another
        while position > 0:
            size = min(_SCAN, position)
            position -= size
            block = os.pread(self.fd, size, position)
            found = block.count(b"\n")
            if lines + found < count:
                lines += found
                continue
            cut = len(block)
            for _ in range(count - lines):
                cut = block.rfind(b"\n", 0, cut)
            self.offset = position + cut + 1
            return count
        self.offset = 0
        return lines + 1 if lines >= 0 else 0

    def _seek_tail_compressed(self, count: int) -> int:
        total = 0
        while data := self.read(BLOCK):
            total += data.count(b"\n")
        os.lseek(self.fd, 0, os.SEEK_SET)
        self._engine, self._raw, self.offset = zlib.decompressobj(31), b"", 0
        skip = total - count
        while skip > 0 and (data := self.read(BLOCK)):
            cut = -1
            for _ in range(min(skip, data.count(b"\n"))):
                cut = data.find(b"\n", cut + 1)
                skip -= 1
            self.rest = data[cut + 1 :]
        return min(total, count)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class LogFiles:
    """Lifecycle: made with the current file's path, `block` again and again, `close`. All calls may block on the disk."""

    def __init__(self, path: str, tail: int = -1) -> None:
        self._path = path
        self._last_look = False
        self._queue: deque[Source] = deque()
        chain = _chain(path)
        if tail >= 0:
            chain = _tail(chain, tail)
        self._queue.extend(reversed(chain))

    def block(self) -> bytes:
        """The next complete lines, b"" when there are none now."""
        while self._queue:
            data = self._queue[0].block()
            if data:
                self._last_look = False
                return data
            if len(self._queue) == 1:
                if not self._moved(self._queue[0]):
                    return b""
            else:
                self._queue.popleft().close()
        return b""

    def follow(self) -> None:
        """Look for a file that has been made since, if there was none."""
        if not self._queue:
            self._queue.extend(reversed(_chain(self._path)))

    def _moved(self, current: Source) -> bool:
        """At the end of the newest file: whether there may be more, because it was truncated or another followed it."""
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if (status.st_dev, status.st_ino) == current.identity:
            if status.st_size >= current.offset:
                return False
            current.restart()
            return True
        if not self._last_look:
            self._last_look = True  # what was written up to the rotation comes first
            return True
        self._last_look = False
        successors = _successors(_chain(self._path), current)
        if not successors:
            return False
        self._queue.popleft().close()
        self._queue.extend(reversed(successors))
        return True

    def close(self) -> None:
        while self._queue:
            self._queue.popleft().close()


def _chain(path: str) -> list[Source]:
    """Every file of the log, newest first, each once."""
    sources: list[Source] = []
    seen: set[tuple[int, int]] = set()
    for number in range(_MOST_FILES):
        names = (path,) if number == 0 else (f"{path}.{number}", f"{path}.{number}.gz", f"{path}.{number}")
        source = next((found for name in names if (found := _open(name)) is not None), None)
        if source is None:
            if number:
                break
            continue
        if source.identity in seen:
            source.close()
            continue
        seen.add(source.identity)
        sources.append(source)
    return sources


def _open(path: str) -> Source | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataLoss(f"log file {path} cannot be read: {error.strerror}") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise DataLoss(f"log file {path} is not a regular file")
    return Source(fd, status, compressed=path.endswith(".gz"))


def _tail(chain: list[Source], count: int) -> list[Source]:
    """Of a chain, newest first, what holds the last `count` lines, each source placed where it begins."""
    kept: list[Source] = []
    for source in chain:
        if count > 0 or not kept:
            count -= source.seek_tail(count)
            kept.append(source)
        else:
            source.close()
    return kept


def _successors(chain: list[Source], current: Source) -> list[Source]:
    """Of a chain, newest first, what was written after `current`."""
    here = next((number for number, source in enumerate(chain) if source.identity == current.identity), -1)
    if here < 0 and any(source.compressed for source in chain):
        trailer = _trailer_of(current)
        here = next((i for i, source in enumerate(chain) if source.compressed and _trailer(source) == trailer), -1)
    if here < 0:  # its name is unknown (logrotate's dateext) or it was removed: what is younger came later
        here = len(chain)
        written = os.fstat(current.fd).st_mtime_ns
        while here > 1 and os.fstat(chain[here - 1].fd).st_mtime_ns < written:
            here -= 1
    for source in chain[here:]:
        source.close()
    return chain[:here]


def _trailer(source: Source) -> bytes:
    """What identifies a compressed file's plain bytes: its last 8 bytes, checksum and size."""
    size = os.fstat(source.fd).st_size
    return os.pread(source.fd, 8, size - 8) if size >= 18 else b""


def _trailer_of(source: Source) -> bytes:
    """The trailer that a plain file has got when it was compressed."""
    crc = position = 0
    while data := os.pread(source.fd, BLOCK, position):
        crc = zlib.crc32(data, crc)
        position += len(data)
    return struct.pack("<II", crc, position & 0xFFFFFFFF)

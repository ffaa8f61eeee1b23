"""Rotated log files: FILE, FILE.1, FILE.2, … (or FILE.1.gz, …), the newest first.

Compression runs in a forked child so that output never waits for it, except when the next rotation comes before it is
done. A rotated file has one name or two (`.1` and a complete `.1.gz`) at every instant, never none.
"""

import os
import struct
import zlib

_BLOCK = 256 << 10


class Rotation:
    """Moves a log file aside. `max_files` counts the current one."""

    def __init__(self, path: str, max_files: int, compress: bool) -> None:
        self._path = path
        self._max_files = max_files
        self._compress = compress
        self._child = 0

    def rotate(self, time: str) -> None:
        """Shift the rotated files by one and give up the current name; `time` is the last record's. Raises OSError."""
        self.settle()
        if self._max_files < 2:
            # Docker empties the file in place; a new file under the name lets a reader finish the old one.
            os.unlink(self._path)
            return
        for suffix in ("", ".gz"):
            _unlink(f"{self._path}.{self._max_files - 1}{suffix}")
        for number in range(self._max_files - 1, 1, -1):
            for suffix in ("", ".gz"):
                _rename(f"{self._path}.{number - 1}{suffix}", f"{self._path}.{number}{suffix}")
        os.rename(self._path, self._path + ".1")
        if self._compress:
            self._child = _fork_compression(self._path + ".1", time)

    def settle(self) -> None:
        """Wait for a running compression."""
        if self._child:
            try:
                os.waitpid(self._child, 0)
            except ChildProcessError:
                pass  # the process's own reaper was faster
            self._child = 0


def _fork_compression(path: str, time: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.closerange(0, os.sysconf("SC_OPEN_MAX"))  # a copied pipe end would keep a container's stdin from ending
        os.nice(10)
        compress(path, time)
        status = 0
    finally:
        os._exit(status)


def compress(path: str, time: str) -> None:
    """Replace `path` by `path`.gz, whose header carries the last record's time as Docker's does."""
    temporary = path + ".gz.tmp"
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        extra = b'{"lastTime":"%s"}' % time.encode()
        _write(target, b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", len(extra)) + extra)
        engine = zlib.compressobj(6, zlib.DEFLATED, -15)
        crc = size = 0
        while block := os.read(source, _BLOCK):
            crc = zlib.crc32(block, crc)
            size += len(block)
            _write(target, engine.compress(block))
        _write(target, engine.flush() + struct.pack("<II", crc, size & 0xFFFFFFFF))
        os.rename(temporary, path + ".gz")
        os.unlink(path)
    except OSError:
        _unlink(temporary)  # the plain file stays and is as good
        raise
    finally:
        os.close(source)
        os.close(target)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except FileNotFoundError:
        pass

"""The json-file driver: Docker's records appended to one file, with rotation.

The file is opened for appending, so `: > file` just works. Before each write its name is looked up: when logrotate has
renamed or removed it, a new one is made. When the disk is full, output is dropped and counted; the first record that
can be written again is one that says what is missing.
"""

import errno
import os
import stat
from collections.abc import Mapping, Sequence

from scow.logs.drivers import STDERR, STDOUT
from scow.logs.drivers.encode import LineEncoder, escape_attributes
from scow.logs.drivers.rotation import Rotation
from scow.logs.timestamps import format_trimmed
from scow.logs.validation import JsonFileOptions

Buffers = Sequence[bytes | memoryview]
_MAX_VECTORS = 512  # below the kernel's IOV_MAX of 1024


class JsonFile:
    """See `Driver`. The constructor raises OSError when the file cannot be opened."""

    def __init__(self, path: str, attributes: Mapping[str, str], options: JsonFileOptions) -> None:
        self._path = path
        self._max_size = options.max_size
        self._rotation = Rotation(path, options.max_files, options.compress)
        encoded = escape_attributes(attributes)
        self._encoders = {STDOUT: LineEncoder("stdout", encoded), STDERR: LineEncoder("stderr", encoded)}
        self._gap = LineEncoder("stderr", encoded)
        self._fd = -1
        self._identity = (0, 0)
        self._lost = 0
        self._lost_since = ""
        self._torn = False
        self._reason = ""
        self._open()

    def write(self, stream: int, data: bytes, now: int) -> None:
        """See `Driver`."""
        time = format_trimmed(now)
        buffers = self._encoders[stream].feed(data, time)
        if buffers:
            self._record(buffers, time)

    def close(self, now: int) -> None:
        """See `Driver`."""
        time = format_trimmed(now)
        for encoder in self._encoders.values():
            self._record(encoder.flush(time), time)
        if self._lost:
            self._record((), time)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._rotation.settle()

    def _record(self, buffers: Buffers, time: str) -> None:
        if self._lost:
            gap = f"[scow: {self._lost} bytes of the log are missing since {self._lost_since}: {self._reason}]\n"
            buffers = (*self._gap.feed(gap.encode(), time), *buffers)
        elif not buffers:
            return
        try:
            size = self._follow_name()
            if self._torn:
                os.write(self._fd, b"\n")  # ends the half record that could not be taken back
                self._torn = False
            if self._max_size:
                self._append_rotating(b"".join(buffers), size, time)
            else:
                self._append(buffers)
        except OSError as error:
            self._lose(buffers, error, time)
        else:
            self._lost = 0

    def _lose(self, buffers: Buffers, error: OSError, time: str) -> None:
        if not self._lost:
            self._lost_since = time
        self._reason = error.strerror or "error"
        self._lost += sum(len(buffer) for buffer in buffers)

    def _open(self) -> None:
        # Never through a link (CVE-2026-53489): a log that is one would lay open or change another file.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(self._path, flags, 0o640)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", self._path)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._identity = (status.st_dev, status.st_ino)

    def _follow_name(self) -> int:
        """The file's size; opens the name again when it leads to another file or to none."""
        try:
            status = os.stat(self._path, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == self._identity and self._fd >= 0:
                return status.st_size
        except FileNotFoundError:
            pass
        self._open()
        return os.fstat(self._fd).st_size

    def _append_rotating(self, records: bytes, size: int, time: str) -> None:
        """As Docker: a file takes records until it has reached max_size; the next record goes to a new one."""
        position = 0
        while position < len(records):
            if size >= self._max_size:
                self._rotation.rotate(time)
                self._open()
                size = os.fstat(self._fd).st_size
            border = records.find(b"\n", position + max(self._max_size - size - 1, 0))
            end = border + 1 if border >= 0 else len(records)
            self._append((memoryview(records)[position:end],))
            size += end - position
            position = end

    def _append(self, buffers: Buffers) -> None:
        if len(buffers) > _MAX_VECTORS:
            buffers = (b"".join(buffers),)
        total = sum(len(buffer) for buffer in buffers)
        written = os.writev(self._fd, buffers)
        if written == total:
            return
        rest = memoryview(b"".join(buffers))
        try:
            while written < total:
                written += os.write(self._fd, rest[written:])
        except OSError:
            self._take_back(bytes(rest[:written]))
            raise

    def _take_back(self, written: bytes) -> None:
        """Cut off the half record that a full disk left behind."""
        half = len(written) - (written.rfind(b"\n") + 1)
        if not half:
            return
        try:
            os.ftruncate(self._fd, max(os.fstat(self._fd).st_size - half, 0))
        except OSError:
            self._torn = True

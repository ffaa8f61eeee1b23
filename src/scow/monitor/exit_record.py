"""The exit record: how a container ended, as a small file that survives the monitor, the daemon and the machine."""

import errno
import json
import os
from dataclasses import dataclass

_MAX_SIZE = 4096


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """code 0-255; times in Unix nanoseconds; pid is the host's."""

    code: int
    finished_at: int
    oom_killed: bool = False
    pid: int = 0
    started_at: int = 0


def write(path: str, record: ExitRecord, *, durable: bool = True) -> None:
    """Write a record that is there whole or not at all, whoever is killed; `durable`: whatever happens to the machine.

    Raises OSError.
    """
    directory, name = os.path.split(path)
    temporary = f".{name}.tmp"
    data = encode(record)
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o600, dir_fd=parent)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, "no space left on device", path)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        if durable:
            os.fsync(parent)
    finally:
        os.close(parent)


def encode(record: ExitRecord) -> bytes:
    """The file's content."""
    fields = {
        "code": record.code,
        "finished_at": record.finished_at,
        "oom_killed": record.oom_killed,
        "pid": record.pid,
        "started_at": record.started_at,
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def read(path: str) -> ExitRecord | None:
    """The record at `path`; None when there is none or it is damaged."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return decode(os.read(fd, _MAX_SIZE))
    except OSError:
        return None
    finally:
        os.close(fd)


def decode(data: bytes) -> ExitRecord | None:
    """A record from a file's content or None."""
    try:
        fields = json.loads(data)
        record = ExitRecord(
            code=fields["code"],
            finished_at=fields["finished_at"],
            oom_killed=fields["oom_killed"],
            pid=fields["pid"],
            started_at=fields["started_at"],
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers = (record.code, record.finished_at, record.pid, record.started_at)
    if not all(type(number) is int and number >= 0 for number in numbers) or type(record.oom_killed) is not bool:
        return None
    return record if record.code <= 255 else None


def remove(path: str) -> None:
    """Remove a record; none is fine."""
    for name in (path, os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.tmp")):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass

"""Finding the executable of a process: inside the container, as the container's user."""

import errno
import os
import stat
from collections.abc import Sequence

from scow.linux import libc
from scow.runtime.failure import PROCESS, Failed


def find_executable(name: bytes, search: bytes | None) -> bytes:
    """The path to execute for args[0]: itself when it has a slash, else the first executable file of PATH.

    Relative directories of PATH are not searched. Fails in runc's words, from which clients derive 126 and 127.
    """
    shown = _quote(name)
    if b"/" in name:
        number = _why_not(name)
        if number == errno.ENOENT:
            raise Failed(PROCESS, number, f"exec: {shown}: stat {name.decode('utf-8', 'backslashreplace')}")
        if number:
            raise Failed(PROCESS, number, f"exec: {shown}")
        return name
    for directory in (search or b"").split(b":"):
        if directory[:1] != b"/" or not name:
            continue
        path = directory.rstrip(b"/") + b"/" + name
        if not _why_not(path):
            return path
    raise Failed(PROCESS, 0, f"exec: {shown}: executable file not found in $PATH")


def _why_not(path: bytes) -> int:
    """The errno of why `path` cannot be executed by the effective user, 0 when it can."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return errno.EISDIR
        libc.access_at(libc.AT_FDCWD, path, os.X_OK)
    except OSError as error:
        return error.errno or errno.EACCES
    return 0 if mode & 0o111 else errno.EACCES


def _quote(name: bytes) -> str:
    text = name.decode("utf-8", "backslashreplace").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def environment(entries: Sequence[str]) -> dict[bytes, bytes]:
    """The environment of NAME=value entries; the last of a name wins. An entry without a name or a value is dropped."""
    result: dict[bytes, bytes] = {}
    for entry in entries:
        name, equals, value = entry.encode("utf-8", "surrogateescape").partition(b"=")
        if name and equals and "\0" not in entry:
            result[name] = value
    return result

"""Why an external runtime failed: the last error of its JSON log, in the sentence that Docker makes of it."""

import json
import os

from scow.errors import StartFailure
from scow.linux import libc
from scow.runtime.failure import external_failure

_MAXIMUM = 1 << 20


def failure(verb: str, directory: int, log: str, code: int | None, arguments0: str) -> StartFailure:
    """The error of a runtime that ended with `code` (None: it took too long). verb: create, start, exec."""
    text = last_error(_read(directory, log))
    if not text:
        why = "it did not end in time" if code is None else _ended(code)
        text = f"unable to retrieve OCI runtime error: {arguments0}: {why}"
    return external_failure(verb, text)


def not_executed(verb: str, error: OSError) -> StartFailure:
    """The error of a runtime whose program cannot be executed."""
    why = libc.ERROR_TEXT.get(error.errno or 0, "error")
    text = f"unable to retrieve OCI runtime error: fork/exec {error.filename}: {why[:1].lower()}{why[1:]}"
    return external_failure(verb, text)


def last_error(log: bytes) -> str:
    """The message of the last error in a log of JSON lines, "" when there is none."""
    found = ""
    for line in log.split(b"\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal", "panic"):
            text = entry.get("msg")
            if isinstance(text, str) and text.strip():
                found = text.strip()
    return found


def _ended(code: int) -> str:
    return f"signal: {code - 128}" if code > 128 else f"exit status {code}"


def _read(directory: int, name: str) -> bytes:
    """The end of a log."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
        try:
            size = os.fstat(fd).st_size
            return os.pread(fd, _MAXIMUM, max(0, size - _MAXIMUM))
        finally:
            os.close(fd)
    except OSError:
        return b""

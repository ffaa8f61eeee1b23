"""Reading and writing the files of cgroup directories, and what both generations share."""

import os
import time
from typing import Any

from scow.errors import InvalidArgument
from scow.linux import libc

ROOT = "/sys/fs/cgroup"


def clean(path: str) -> str:
    """A spec's cgroupsPath as a relative path below each hierarchy. InvalidArgument for anything that could leave it."""
    names = [name for name in path.split("/") if name]
    if not names or ".." in names or "." in names or any(len(name) > 255 for name in names) or "\0" in path:
        raise InvalidArgument(f"invalid cgroup path {path!r}")
    return "/".join(names)


def remove_tree(directory: str, kill: Any) -> None:
    """rmdir a cgroup directory and those below; leftovers are killed and awaited, for a bounded time (about 2 s)."""
    delay = 0.0005
    for attempt in range(64):
        try:
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError:
            if attempt >= 12:
                raise
        for below, _, _ in os.walk(directory, topdown=False):
            if below != directory:
                try:
                    os.rmdir(below)
                except OSError:
                    continue
        kill()
        time.sleep(delay)
        delay = min(delay * 2, 0.4)


def write(directory: str, name: str, value: str, what: str = "") -> None:
    """Write a control file; InvalidArgument names file and value when the kernel refuses the value."""
    fd = libc.open_at(libc.AT_FDCWD, f"{directory}/{name}", os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        text = libc.ERROR_TEXT.get(error.errno or 0, "error")
        raise InvalidArgument(f"cannot set {what or name} to {value!r}: {text[:1].lower()}{text[1:]}") from error
    finally:
        os.close(fd)


def read(directory: str, name: str) -> str:
    """A control file's text without the last newline; "" when there is no such file."""
    try:
        fd = libc.open_at(libc.AT_FDCWD, f"{directory}/{name}", os.O_RDONLY)
    except OSError:
        return ""
    try:
        parts: list[bytes] = []
        while part := os.read(fd, 65536):
            parts.append(part)
    except OSError:
        return ""
    finally:
        os.close(fd)
    return b"".join(parts).decode("ascii", "replace").rstrip("\n")


def read_pids(directory: str) -> list[int]:
    """The processes of a cgroup and of those below it. Processes of other pid namespaces (0) are left out."""
    found: dict[int, None] = {}
    for below, _, _ in os.walk(directory):
        for word in read(below, "cgroup.procs").split():
            if word != "0":
                found[int(word)] = None
    return list(found)


def kill_each(pids: Any, rounds: int = 8) -> None:
    """SIGKILL to every process `pids()` tells, again while new ones appear."""
    for _ in range(rounds):
        listed = pids()
        if not listed:
            return
        for pid in listed:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        if pids() == listed:
            return


def figures(text: str) -> dict[str, int]:
    """`name number` lines as a dict."""
    result: dict[str, int] = {}
    for line in text.split("\n"):
        name, _, value = line.rpartition(" ")
        if name and value.lstrip("-").isdigit():
            result[name] = int(value)
    return result

"""The context of a build, sent by what has changed: the daemon is told of all files, and asks for those it does not have."""

from __future__ import annotations

import os
import stat
import time

from scow.build import manifest
from scow.build.manifest import Stated
from scow.cli.build_context import walk
from scow.client.api import ApiError
from scow.client.upload import upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from scow.build.frontend.ignore import IgnoreRules
    from scow.client.api import Client

_PIECE = 1 << 20
_SETTLED = 2_000_000_000
"""Nanoseconds: what was changed so shortly before it is read may change again without another time to show it."""
_KINDS = {stat.S_IFDIR: manifest.DIRECTORY, stat.S_IFLNK: manifest.SYMLINK, stat.S_IFIFO: manifest.FIFO}
_UNKNOWN = (404, 413, 501)


class Sync:
    """One context. `run` gives the id that the build names it by; `size` counts the bytes that were sent."""

    def __init__(
        self, client: Client, root: str, rules: IgnoreRules | None, extra: dict[str, bytes], inline: tuple[str, ...]
    ) -> None:
        """`extra`: files by name that take the place of the directory's own. `inline`: small ones that are always sent."""
        self._client = client
        self._root = root
        self._started = time.time_ns()
        self._files = [
            Stated(manifest.INLINE, 0o644, os.fsencode(name), data, 0, 0, 0, 0, 0) for name, data in extra.items()
        ]
        self._files += _stated(root, rules, frozenset(extra), inline)
        self.size = 0

    def run(self, params: list[tuple[str, str]]) -> str | None:
        """None when the daemon does not know how. ApiError, OSError."""
        data = manifest.MAGIC + b"".join([file.encoded() for file in self._files])
        self.size = len(data)
        wanted = [*params, ("name", _name(self._root))]
        pieces = [data[at : at + _PIECE] for at in range(0, len(data), _PIECE)][::-1]
        headers = (("Content-Type", "application/vnd.scow.context"),)

        def source() -> bytes:
            return pieces.pop() if pieces else b""

        try:
            answer = upload(self._client, "POST", "/scow/build/contexts", wanted, source, headers).json()
        except ApiError as error:
            if error.status in _UNKNOWN:
                return None
            raise
        missing = answer.get("Missing") or []
        if not missing:
            return str(answer["Id"])
        contents = self._contents([self._files[number] for number in missing])
        answer = upload(
            self._client,
            "POST",
            "/scow/build/contexts/files",
            [("id", answer["Id"])],
            lambda: next(contents, b""),
            headers,
        ).json()
        return str(answer["Id"])

    def _contents(self, files: list[Stated]) -> Iterator[bytes]:
        """What the daemon has asked for, small files put together."""
        waiting: list[bytes] = []
        size = 0
        for file in files:
            for part in self._framed(file):
                waiting.append(part)
                size += len(part)
                if size >= _PIECE:
                    self.size += size
                    yield b"".join(waiting)
                    waiting, size = [], 0
        if waiting:
            self.size += size
            yield b"".join(waiting)

    def _framed(self, file: Stated) -> Iterator[bytes]:
        path = os.fsencode(self._root) + b"/" + file.path
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise OSError(0, "the file became something else while the context was sent", os.fsdecode(path))
            left = before.st_size
            yield manifest.frame(left)
            while left:
                piece = os.read(fd, min(left, _PIECE))
                if not piece:
                    raise OSError(0, "the file became shorter while it was sent", os.fsdecode(path))
                left -= len(piece)
                yield piece
            after = os.fstat(fd)
        finally:
            os.close(fd)
        same = _identity(before) == _identity(after) == file.identity
        newest = max(after.st_mtime_ns, after.st_ctime_ns)
        yield b"\1" if same and newest < self._started - _SETTLED else b"\0"


def _stated(root: str, rules: IgnoreRules | None, skip: frozenset[str], inline: tuple[str, ...]) -> Iterator[Stated]:
    for path, entry in walk(root, "", rules, skip):
        there = entry.stat(follow_symlinks=False)
        mode, name = stat.S_IMODE(there.st_mode), os.fsencode(path)
        if stat.S_ISREG(there.st_mode):
            if path in inline:
                with open(entry.path, "rb") as stream:
                    data = stream.read()
                yield Stated(manifest.INLINE, mode, name, data, 0, there.st_mtime_ns, 0, 0, 0)
            else:
                yield Stated(manifest.FILE, mode, name, b"", *_identity(there))
            continue
        kind = _KINDS.get(stat.S_IFMT(there.st_mode))
        if kind is not None:  # sockets and devices are no part of a context
            extra = os.fsencode(os.readlink(entry.path)) if kind == manifest.SYMLINK else b""
            yield Stated(kind, mode, name, extra, 0, there.st_mtime_ns, 0, 0, 0)


def _identity(there: os.stat_result) -> tuple[int, int, int, int, int]:
    return (there.st_size, there.st_mtime_ns, there.st_ctime_ns, there.st_ino, there.st_dev)


def _name(root: str) -> str:
    """Tells the directory from all others of this user, also where several machines have the same daemon."""
    there = os.stat(root)
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as stream:
            machine = stream.read(64).strip()
    except OSError:
        machine = os.uname().nodename
    return f"{os.path.abspath(root)} {there.st_dev}:{there.st_ino} {machine}"

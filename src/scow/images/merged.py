"""Layers seen as one tree, by the rules of overlayfs and without a mount.

A view is a stack of fds of the same directory in the layers that have it, top first. Names are looked up one at a time
below those fds and links are never followed, so nothing outside the layers can be reached whatever they hold.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OPAQUE = "trusted.overlay.opaque"


def is_whiteout(there: os.stat_result) -> bool:
    """overlayfs's mark for a name that is gone."""
    return stat.S_ISCHR(there.st_mode) and there.st_rdev == 0


def is_opaque(directory: int) -> bool:
    """Whether a directory hides what lower layers have at its place."""
    try:
        return os.getxattr(directory, _OPAQUE) == b"y"
    except OSError:
        return False


@contextmanager
def inside(directory: int, name: bytes) -> Iterator[int | None]:
    """An fd of the directory `name` in the fd `directory`; None when it is none any more."""
    try:
        fd = os.open(name, DIRECTORY, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Found:
    """A name in a view: the fd of the layer's directory that has it (the view's own: do not close), and its stat."""

    directory: int
    there: os.stat_result


class View:
    """One directory of the merged tree. Owns its fds: use it in `with`, or close it."""

    def __init__(self, fds: Sequence[int]) -> None:
        self._fds = fds

    @classmethod
    def open(cls, layers: Iterable[str]) -> "View":
        """The root of the tree that the layer directories make up, top first."""
        fds: list[int] = []
        try:
            for layer in layers:
                fds.append(os.open(layer, DIRECTORY))
                if is_opaque(fds[-1]):
                    break
        except OSError:
            _close(fds)
            raise
        return cls(fds)

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        _close(self._fds)
        self._fds = ()

    @property
    def top(self) -> int | None:
        """The fd that has the directory's own attributes; None when no layer has the directory."""
        return self._fds[0] if self._fds else None

    def find(self, name: bytes) -> Found | None:
        """What the tree shows at `name`, None for nothing."""
        for fd in self._fds:
            try:
                there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            return None if is_whiteout(there) else Found(fd, there)
        return None

    def entries(self) -> dict[bytes, Found]:
        """Everything in the directory, in byte order of the names. What vanishes meanwhile is left out."""
        found: dict[bytes, Found | None] = {}
        for fd in self._fds:
            for text in os.listdir(fd):
                name = os.fsencode(text)
                if name in found:
                    continue
                try:
                    there = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                found[name] = None if is_whiteout(there) else Found(fd, there)
        return {name: entry for name, entry in sorted(found.items()) if entry is not None}

    def enter(self, name: bytes) -> "View":
        """The directory `name`; without any fd when it is none. Raises OSError as open does for the topmost."""
        fds: list[int] = []
        try:
            for fd in self._fds:
                try:
                    inner = os.open(name, DIRECTORY, dir_fd=fd)
                except FileNotFoundError:
                    continue
                except NotADirectoryError:  # a file, a link or a whiteout ends the merge
                    break
                fds.append(inner)
                if is_opaque(inner):
                    break
        except OSError:
            _close(fds)
            raise
        return View(fds)


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)

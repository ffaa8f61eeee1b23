"""A file or directory of a living tree as an archive: what `cp` takes out of a container, and what its client sends.

The tree may change while it is read, by somebody who means harm. Everything is reached by directory fds, links are
never followed, and a file is opened only after it is known to be one: the open of a device that was put in its place
would already do something.
"""

import errno
import os
import stat
from collections.abc import Callable

from scow.errors import NotFound
from scow.images.archive.limits import DEFAULT, ArchiveTooLarge
from scow.images.archive.writer import Emit, TarWriter
from scow.images.merged import DIRECTORY
from scow.linux import libc

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class TreeWriter(TarWriter):
    """A TarWriter that opens regular files and nothing else."""

    def _open(self, directory: int, name: bytes) -> int:
        handle = libc.open_at(directory, name, libc.O_PATH | os.O_NOFOLLOW)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            return os.open(f"/proc/self/fd/{handle}", _READ)
        finally:
            os.close(handle)


def write_tree(directory: int, name: bytes, shown: bytes, emit: Emit, hidden: Callable[[int], bool]) -> None:
    """`name` in the fd `directory` (b"." is the directory itself), and all below it, as the archive's member `shown`.

    A directory whose fd is `hidden` is written without what is in it.
    """
    writer = TreeWriter(emit, lenient=True)
    there = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISDIR(there.st_mode):
        fd = os.open(name, DIRECTORY, dir_fd=directory)
        try:
            _write_directory(writer, fd, shown.rstrip(b"/") + b"/", hidden, 0)
        finally:
            os.close(fd)
    else:
        try:
            writer.file(directory, name, shown, there)
        except FileNotFoundError:
            raise NotFound(f"{os.fsdecode(shown)} has just gone") from None
    writer.end()


def _write_directory(writer: TarWriter, fd: int, prefix: bytes, hidden: Callable[[int], bool], depth: int) -> None:
    if depth > DEFAULT.depth:
        raise ArchiveTooLarge(f"{os.fsdecode(prefix[:80])!r}… is nested deeper than {DEFAULT.depth} directories")
    writer.directory(prefix, fd, os.fstat(fd))
    if hidden(fd):
        return
    for name in sorted(os.fsencode(text) for text in os.listdir(fd)):
        try:
            there = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(there.st_mode):
                inner = os.open(name, DIRECTORY, dir_fd=fd)
            else:
                writer.file(fd, name, prefix + name, there)
                continue
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone or replaced meanwhile
        except OSError as error:
            if error.errno == errno.ELOOP:
                continue
            raise
        try:
            _write_directory(writer, inner, prefix + name + b"/", hidden, depth + 1)
        finally:
            os.close(inner)

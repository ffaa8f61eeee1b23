"""Files on this machine's side: a path as an archive, and an archive into a directory. For `cp`, and for what builds leave."""

from __future__ import annotations

import os
import stat

from scow.cli.command import Exit
from scow.cli.cp_paths import Place, clean_path, means_contents, rebased, split_last

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINKS = 10


def source_place(path: str, follow: bool) -> Place:
    """What is to be sent. Exit with Docker's sentence when it is not there."""
    path = _absolute(path)
    try:
        if follow:
            resolved, rebase = rebased(path, _evaluate(path))
        else:
            head, name = path.rpartition("/")[::2]
            parent = _evaluate(head or "/")
            resolved = f"{parent.rstrip('/')}/{name}"
            rebase = ""
            if path.endswith("/") and split_last(path)[1] != split_last(resolved)[1]:
                rebase = split_last(path)[1]
        there = os.lstat(resolved)
    except OSError as error:
        raise Exit(1, f"lstat {path}: {(error.strerror or '').lower()}") from None
    return Place(resolved, True, stat.S_ISDIR(there.st_mode), rebase)


def destination_place(path: str) -> Place:
    """What is at the path to be written, or that its directory is there."""
    absolute = _absolute(path)
    parent = os.path.dirname(clean_path(absolute))
    if not os.path.exists(parent):
        raise Exit(1, f'invalid output path: directory "{parent}" does not exist')
    for _ in range(_LINKS + 1):
        try:
            there = os.lstat(absolute)
        except OSError:
            break
        if not stat.S_ISLNK(there.st_mode):
            if not (stat.S_ISDIR(there.st_mode) or stat.S_ISREG(there.st_mode)):
                raise Exit(1, f"got {'a device' if stat.S_ISCHR(there.st_mode) else 'an irregular file'}")
            return Place(absolute, True, stat.S_ISDIR(there.st_mode))
        absolute = os.path.join(os.path.dirname(absolute.rstrip("/")), os.readlink(absolute.rstrip("/")))
    else:
        raise Exit(1, "too many symlinks")
    if not os.path.isdir(os.path.dirname(clean_path(absolute))):
        raise Exit(1, "not a directory")
    return Place(absolute)


def write(place: Place, name: str, emit: Callable[[bytes], None]) -> None:
    """The archive of a source whose first entry is called `name`, in pieces."""
    from scow.images.tree_out import write_tree

    directory, base = split_last(place.path)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_tree(fd, os.fsencode(base) if base != "/" else b".", os.fsencode(name), emit, lambda _: False)
    finally:
        os.close(fd)


def extract(pieces: Iterator[bytes], directory: str, rename: Callable[[bytes], bytes] | None) -> None:
    """The archive below `directory`; owners stay this user's. No link below it is followed, whatever the archive says."""
    from scow.images.archive.reader import TarReader
    from scow.images.tree_in import Placer, Rules

    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        reader = TarReader(lambda: next(pieces, b""))
        Placer(root, b"", Rules(keep_kinds=True, chown=False, links=False)).apply(reader, rename)
        reader.drain()
    finally:
        os.close(root)


def unpack(pieces: Iterator[bytes], directory: str) -> list[str]:
    """The files of an archive into a directory, made when it is missing; paths of devices, which are left out.

    Nothing outside the directory is touched, whatever the archive says: no link is followed, no directory replaced by something
    else. Files are this user's, with their modes but for setuid and setgid, and without extended attributes, for these were
    given to another owner's file.
    """
    from scow.images.archive import entry as kinds
    from scow.images.archive.reader import TarReader
    from scow.images.tree_in import Placer, Rules

    skipped: dict[bytes, None] = {}

    class Files(TarReader):
        def __iter__(self) -> Iterator[kinds.Entry]:
            for entry in super().__iter__():
                device = entry.kind in (kinds.CHARACTER, kinds.BLOCK)
                if device or entry.kind == kinds.HARDLINK and entry.target in skipped:
                    skipped[entry.name] = None
                    continue
                entry.xattrs = None
                entry.mode &= 0o777 | stat.S_ISVTX
                yield entry

    os.makedirs(directory, exist_ok=True)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        reader = Files(lambda: next(pieces, b""))
        Placer(root, b"", Rules(keep_kinds=True, chown=False, links=False, any_target=True)).apply(reader)
        reader.drain()
    finally:
        os.close(root)
    return [os.fsdecode(name) for name in skipped]


def _absolute(path: str) -> str:
    """Absolute and clean, with the ending that has a meaning."""
    clean = clean_path(os.path.join(os.getcwd(), path))
    if means_contents(path):
        return clean.rstrip("/") + "/."
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def _evaluate(path: str) -> str:
    """The path without links; it must exist. This machine's paths are the user's own: nobody else names them."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)

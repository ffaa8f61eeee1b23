"""The one resolver of paths that an image, a container, an archive or a client can influence.

Every name is looked up below a directory fd by the kernel (openat2: links stay inside the root, magic links of procfs
are refused) and is then used through the fd that came back. There is no second lookup by string.
"""

import errno
import os
import stat

from scow.linux import libc

IN_ROOT = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS
PROC_MAGIC = 0x9FA0
DEVPTS_MAGIC = 0x1CD1
_DIRECTORY = libc.O_PATH | os.O_DIRECTORY


def open_root(path: str | bytes) -> int:
    """An O_PATH fd of a trusted directory, to be the root of later lookups."""
    return libc.open_at(libc.AT_FDCWD, path, _DIRECTORY)


def is_mount(parent: int, name: str | bytes) -> bool:
    """Whether something is mounted at `name`: also a directory of the same file system."""
    try:
        os.close(libc.openat2(parent, name, libc.O_PATH | os.O_NOFOLLOW, 0, libc.RESOLVE_NO_XDEV))
    except OSError as error:
        if error.errno == errno.EXDEV:
            return True
        raise
    return False


def open_in_root(root: int, path: str | bytes, flags: int, mode: int = 0, *, resolve: int = 0) -> int:
    """Open `path` as if `root` were /. Links (absolute or not, and ..) stay below root; magic links raise ELOOP.

    `resolve` adds RESOLVE_* bits. A mode without O_CREAT is an error of the kernel's (EINVAL).
    """
    return libc.openat2(root, path or b".", flags, mode, IN_ROOT | resolve)


def components(path: str | bytes) -> list[bytes]:
    """The path's names from the root down, lexically: empty names and "." are dropped, ".." goes up (never above /)."""
    names: list[bytes] = []
    for name in libc.path_bytes(path).split(b"/"):
        if name == b"..":
            del names[-1:]
        elif name not in (b"", b"."):
            names.append(name)
    return names


def make_dirs_in_root(root: int, path: str | bytes, mode: int = 0o755, uid: int = 0, gid: int = 0) -> int:
    """Make the directory `path` and its missing parents below `root`; returns an O_PATH fd of it.

    Links on the way are followed inside the root, also by "..". Only directories made here get mode and owner. A name
    that another process puts in the way meanwhile is resolved again by the same rules; what is no directory is ENOTDIR.
    """
    try:  # the usual case: it is there
        return open_in_root(root, path, _DIRECTORY)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    prefix = b""
    here = open_in_root(root, b".", _DIRECTORY)
    try:
        for name in [part for part in libc.path_bytes(path).split(b"/") if part not in (b"", b".")]:
            prefix += b"/" + name
            following = _enter_or_make(root, here, prefix, name, mode, uid, gid)
            os.close(here)
            here = following
    except OSError:
        os.close(here)
        raise
    return here


def _enter_or_make(root: int, parent: int, prefix: bytes, name: bytes, mode: int, uid: int, gid: int) -> int:
    """The directory `prefix` as seen from root, made in `parent` (which is its dirname) when it is missing."""
    try:
        return open_in_root(root, prefix, _DIRECTORY)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    if name == b"..":
        raise libc.failure(errno.ENOENT, "directory above a missing one")
    try:
        libc.mkdir_at(parent, name, mode)
    except FileExistsError:  # a dangling link, or somebody else was faster
        return open_in_root(root, prefix, _DIRECTORY)
    fd = libc.openat2(parent, name, _DIRECTORY | os.O_NOFOLLOW, 0, IN_ROOT | libc.RESOLVE_NO_SYMLINKS)
    try:
        if uid or gid:
            libc.chown_fd(fd, uid, gid)
    except OSError:
        os.close(fd)
        raise
    return fd


def split_last(path: str | bytes) -> tuple[bytes, bytes]:
    """(parent, last name) of a path; the last name of / is "."."""
    raw = libc.path_bytes(path).rstrip(b"/")
    parent, _, last = raw.rpartition(b"/")
    return parent or b"/", last or b"."


def make_file_in_root(root: int, path: str | bytes, mode: int = 0o644) -> int:
    """An O_PATH fd of `path` below `root`: of what exists there (links followed inside the root), else of a new empty file.

    Missing parents are made. The new file is made with O_EXCL: a link is never written through.
    """
    try:
        return open_in_root(root, path, libc.O_PATH)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    parent_path, name = split_last(path)
    parent = make_dirs_in_root(root, parent_path)
    try:
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
            os.close(libc.openat2(parent, name, flags, mode, IN_ROOT))
        except FileExistsError:  # a dangling link or a racing process: the lookup below decides
            return open_in_root(root, path, libc.O_PATH)
        return libc.openat2(parent, name, libc.O_PATH | os.O_NOFOLLOW, 0, IN_ROOT)
    finally:
        os.close(parent)


def read_bounded(root: int, path: str | bytes, limit: int) -> bytes:
    """The bytes of a regular file below `root`; EFBIG above `limit`, EINVAL for anything that is no regular file.

    Opened without blocking, so that a FIFO or device in an image cannot hold the reader.
    """
    fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise libc.failure(errno.EINVAL, "not a regular file")
        if status.st_size > limit:
            raise libc.failure(errno.EFBIG, "file too large")
        parts: list[bytes] = []
        left = limit + 1
        chunk = max(status.st_size + 1, 4096)  # the buffer's pages cost more than the reading
        while left > 0 and (part := os.read(fd, min(left, chunk))):
            parts.append(part)
            left -= len(part)
        if left <= 0:  # it grew, or its filesystem lies about the size
            raise libc.failure(errno.EFBIG, "file too large")
        return b"".join(parts)
    finally:
        os.close(fd)

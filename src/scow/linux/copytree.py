"""Copies of trees with everything that belongs to a file: owner, mode, times, xattrs, hard links, holes, devices.

Both sides are directory fds; names are looked up one at a time below them without following links, so nothing outside
can be read or written whatever the trees hold.
"""

import errno
import os
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 30
_DEPTH_LIMIT = 1000
OVERLAY_XATTRS = "trusted.overlay."


def copy_tree(source: int, target: int) -> None:
    """Copy what is in the directory `source` into the directory `target`, then source's own attributes."""
    links: dict[tuple[int, int], bytes] = {}
    _copy_directory(source, target, target, b"", links, 0)


def _copy_directory(
    source: int, target: int, top: int, prefix: bytes, links: dict[tuple[int, int], bytes], depth: int
) -> None:
    if depth > _DEPTH_LIMIT:
        raise OSError(errno.ELOOP, "directories are nested too deeply")
    for text in os.listdir(source):
        name = os.fsencode(text)
        there = os.stat(name, dir_fd=source, follow_symlinks=False)
        path = prefix + name
        if stat.S_ISDIR(there.st_mode):
            _make_directory(name, target)
            inner_source = os.open(name, _DIRECTORY, dir_fd=source)
            try:
                inner_target = os.open(name, _DIRECTORY, dir_fd=target)
                try:
                    _copy_directory(inner_source, inner_target, top, path + b"/", links, depth + 1)
                finally:
                    os.close(inner_target)
            finally:
                os.close(inner_source)
            continue
        inode = (there.st_dev, there.st_ino)
        if there.st_nlink > 1 and inode in links:
            # `top` was empty before: every component of the known path was made here and is no link.
            os.link(links[inode], name, src_dir_fd=top, dst_dir_fd=target, follow_symlinks=False)
            continue
        copy_one(source, name, target, name)
        if there.st_nlink > 1:
            links[inode] = path
    copy_attributes(source, target)


def _make_directory(name: bytes, target: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=target)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(name, dir_fd=target, follow_symlinks=False).st_mode):
            raise


def copy_one(source: int, name: bytes, target: int, new_name: bytes) -> int:
    """Copy one file that is no directory; returns its size as Docker counts (contents and link texts)."""
    there = os.stat(name, dir_fd=source, follow_symlinks=False)
    size = 0
    if stat.S_ISREG(there.st_mode):
        _copy_file(source, name, target, new_name)
        return there.st_size
    if stat.S_ISLNK(there.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=target)
        size = there.st_size
    elif stat.S_ISSOCK(there.st_mode):
        return 0
    else:
        os.mknod(new_name, stat.S_IFMT(there.st_mode) | 0o600, there.st_rdev, dir_fd=target)
    os.chown(new_name, there.st_uid, there.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(there.st_mode):
        os.chmod(new_name, stat.S_IMODE(there.st_mode), dir_fd=target)
    os.utime(new_name, ns=(there.st_atime_ns, there.st_mtime_ns), dir_fd=target, follow_symlinks=False)
    return size


def _copy_file(source: int, name: bytes, target: int, new_name: bytes) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writer = os.open(new_name, flags, 0o600, dir_fd=target)
        try:
            _copy_data(reader, writer, os.fstat(reader).st_size)
            copy_attributes(reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_data(reader: int, writer: int, size: int) -> None:
    """The contents in the kernel, holes kept."""
    position = 0
    while position < size:
        try:
            position = os.lseek(reader, position, os.SEEK_DATA)
            end = os.lseek(reader, position, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            raise
        while position < end:
            copied = _copy_range(reader, writer, min(end - position, _CHUNK), position)
            if not copied:
                break
            position += copied
        else:
            continue
        break
    os.ftruncate(writer, size)


def _copy_range(reader: int, writer: int, count: int, offset: int) -> int:
    try:
        return os.copy_file_range(reader, writer, count, offset, offset)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
            raise
    data = os.pread(reader, min(count, 1 << 20), offset)
    return os.pwrite(writer, data, offset) if data else 0


def copy_attributes(reader: int, writer: int) -> None:
    """Owner, mode, xattrs but those of overlayfs, and times, from one fd to another."""
    there = os.fstat(reader)
    os.fchown(writer, there.st_uid, there.st_gid)
    os.fchmod(writer, stat.S_IMODE(there.st_mode))
    for key in os.listxattr(reader):
        if key.startswith(OVERLAY_XATTRS):
            continue
        try:
            os.setxattr(writer, key, os.getxattr(reader, key))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.ENODATA):
                raise
    os.utime(writer, ns=(there.st_atime_ns, there.st_mtime_ns))

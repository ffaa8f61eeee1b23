"""Layers onto disk: an archive's entries become a directory that overlayfs can use as one lower layer.

Whiteouts become 0/0 character devices and opaque directories get trusted.overlay.opaque, as overlayfs wants them
(https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md, Documentation/filesystems/overlayfs.rst).

Nothing outside the target can be touched: every step starts at a directory fd below the target that was reached
without following a link, or, where the archive itself put a link into the way, by the rooted resolver. The target is
private to the unpacker, so what stands there came from this archive.

Speed: the fds of directories are kept, so a small file costs open, write, utimensat and close. Nothing is synced here;
whoever makes the layer visible syncs once.
"""

import errno
import os
import shutil
import stat
from dataclasses import dataclass

from scow.errors import Internal, ResourceExhausted, ScowError
from scow.images import contents
from scow.images.archive import entry as kinds
from scow.images.archive.entry import Entry
from scow.images.archive.limits import InvalidArchive
from scow.images.archive.reader import TarReader
from scow.images.archive.xattrs import kept
from scow.linux import paths

WHITEOUT = b".wh."
_META = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_OPAQUE_XATTR = "trusted.overlay.opaque"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CACHED_DIRECTORIES = 128


class UnpackFailed(Internal):
    """The file system refused a step."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came of an archive. `size` counts as Docker does: file contents and link texts, hardlinks once.

    `missing_links`: hardlinks whose target is not in this layer but below it: (name, target); they are not made yet.
    """

    size: int
    entries: int
    missing_links: tuple[tuple[bytes, bytes], ...] = ()


class Unpacker:
    """Applies one archive to one empty directory. Use: `with Unpacker(fd) as unpacker: unpacker.apply(reader)`."""

    def __init__(self, root: int) -> None:
        """`root` is an fd of the target, owned by the caller."""
        self._root = root
        self._directories: dict[bytes, int] = {b"": root}
        self._times: dict[bytes, int] = {}
        self._setgid: set[bytes] = set()
        self._missing: dict[bytes, bytes] = {}
        self._size = 0
        self._mtime = 0
        self._umask = _umask()

    def __enter__(self) -> "Unpacker":
        return self

    def __exit__(self, *_: object) -> None:
        self._forget_directories()

    def apply(self, reader: TarReader) -> Unpacked:
        """Unpack every entry. Raises InvalidArchive, ArchiveTooLarge, ResourceExhausted or UnpackFailed."""
        count = 0
        for entry in reader:
            count += 1
            self._mtime = entry.mtime
            try:
                self._apply(entry, reader)
            except OSError as error:
                raise _translate(error, entry.name) from error
        self._set_directory_times()
        return Unpacked(self._size, count, tuple(self._missing.items()))

    # ------------------------------------------------------------ one entry

    def _apply(self, entry: Entry, reader: TarReader) -> None:
        if len(self._directories) > _CACHED_DIRECTORIES:
            self._forget_directories()  # only here: within one entry the fds at hand must stay open
        directory, _, name = entry.name.rpartition(b"/")
        if not name:
            self._apply_root(entry)
        elif name.startswith(WHITEOUT):
            self._whiteout(directory, name)
        elif entry.kind == kinds.FILE:
            self._file(directory, name, entry, reader)
        elif entry.kind == kinds.DIRECTORY:
            self._directory(directory, name, entry)
        elif entry.kind == kinds.HARDLINK:
            self._hardlink(directory, name, entry)
        else:
            self._special(directory, name, entry)

    def _apply_root(self, entry: Entry) -> None:
        if entry.kind != kinds.DIRECTORY:
            raise InvalidArchive(f"the root of the archive is a {entry.kind}")
        os.fchown(self._root, entry.uid, entry.gid)
        os.fchmod(self._root, entry.mode)
        self._set_xattrs(self._root, entry)
        self._times[b""] = entry.mtime

    def _file(self, directory: bytes, name: bytes, entry: Entry, reader: TarReader) -> None:
        parent = self._directories.get(directory)
        if parent is None:
            parent = self._parent(directory)
        mode = entry.mode
        try:
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, directory, name)
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=parent)
        try:
            contents.write(fd, entry, reader)
            if entry.uid or entry.gid or directory in self._setgid:
                os.fchown(fd, entry.uid, entry.gid)
            if mode & (0o7000 | self._umask):
                os.fchmod(fd, mode)
            if entry.xattrs:
                self._set_xattrs(fd, entry)
            time = contents.bounded_time(entry.mtime)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)
        self._size += entry.size

    def _directory(self, directory: bytes, name: bytes, entry: Entry) -> None:
        parent = self._parent(directory)
        if not self._make_directory(parent, directory, name):
            self._clear(parent, directory, name)
            os.mkdir(name, 0o755, dir_fd=parent)
        fd = self._parent(entry.name)
        if entry.uid or entry.gid or directory in self._setgid or entry.name in self._setgid:
            os.fchown(fd, entry.uid, entry.gid)
        if entry.mode != 0o755 & ~self._umask or directory in self._setgid or entry.name in self._times:
            os.fchmod(fd, entry.mode)
        if entry.mode & stat.S_ISGID:
            self._setgid.add(entry.name)
        else:
            self._setgid.discard(entry.name)
        if entry.xattrs:
            self._set_xattrs(fd, entry)
        self._times[entry.name] = entry.mtime

    def _make_directory(self, parent: int, directory: bytes, name: bytes) -> bool:
        """Make a directory or find it there; False when something else is in the way. A whiteout becomes opaque."""
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
            return True
        except FileExistsError:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(there.st_mode):
            return True
        if not _is_whiteout(there):
            return False
        os.unlink(name, dir_fd=parent)  # the layer removes what is below and puts a directory in its place
        os.mkdir(name, 0o755, dir_fd=parent)
        _set_opaque(parent, name)
        return True

    def _hardlink(self, directory: bytes, name: bytes, entry: Entry) -> None:
        if not entry.target:
            raise InvalidArchive(f"{_show(entry.name)} is a hard link to the root of the archive")
        parent = self._parent(directory)
        source_directory, _, source = entry.target.rpartition(b"/")
        try:
            source_parent = self._parent(source_directory, create=False)
            there = os.stat(source, dir_fd=source_parent, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            self._await(parent, directory, name, entry)
            return
        if stat.S_ISDIR(there.st_mode) or _is_whiteout(there):
            raise InvalidArchive(f"{_show(entry.name)} is a hard link to a directory or a removed file")
        if entry.name == entry.target:
            return
        try:
            os.link(source, name, src_dir_fd=source_parent, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            here = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return
            self._clear(parent, directory, name)
            source_parent = self._parent(source_directory, create=False)
            parent = self._parent(directory)
            os.link(source, name, src_dir_fd=source_parent, dst_dir_fd=parent, follow_symlinks=False)

    def _await(self, parent: int, directory: bytes, name: bytes, entry: Entry) -> None:
        """A link to what only a layer below can have: its name is free until somebody makes it."""
        try:
            self._clear(parent, directory, name)
        except FileNotFoundError:
            pass
        self._missing.pop(entry.name, None)  # the last one counts, and comes last
        self._missing[entry.name] = entry.target

    def _special(self, directory: bytes, name: bytes, entry: Entry) -> None:
        """A symbolic link, a fifo or a device."""
        parent = self._parent(directory)
        try:
            self._make_special(parent, name, entry)
        except FileExistsError:
            self._clear(parent, directory, name)
            self._make_special(parent, name, entry)
        if entry.uid or entry.gid or directory in self._setgid:
            os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind == kinds.SYMLINK:
            self._size += len(entry.target)
        else:
            # Not a link, made by us one call ago in a private tree: chmod has nothing to follow.
            os.chmod(name, entry.mode, dir_fd=parent)
        time = contents.bounded_time(entry.mtime)
        os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)

    def _make_special(self, parent: int, name: bytes, entry: Entry) -> None:
        if entry.kind == kinds.SYMLINK:
            os.symlink(entry.target, name, dir_fd=parent)
        elif entry.kind == kinds.FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent)
        else:
            kind = stat.S_IFCHR if entry.kind == kinds.CHARACTER else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=parent)

    # ------------------------------------------------------------ whiteouts

    def _whiteout(self, directory: bytes, name: bytes) -> None:
        parent = self._parent(directory)
        if name == _OPAQUE:
            os.setxattr(parent, _OPAQUE_XATTR, b"y")
            return
        if name.startswith(_META):
            return  # what aufs kept beside its layers
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidArchive(f"invalid whiteout {_show(name)}")
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        except FileExistsError:
            # The layer has the name too: it hides only what is below, and only a directory would show that.
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode):
                _set_opaque(parent, hidden)

    # ------------------------------------------------------------ directories

    def _parent(self, path: bytes, create: bool = True) -> int:
        """An fd of the directory `path` below the root, made with all above it when it is not there."""
        fd = self._directories.get(path)
        if fd is not None:
            return fd
        above, _, name = path.rpartition(b"/")
        parent = self._parent(above, create)
        try:
            fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
            os.mkdir(name, 0o755, dir_fd=parent)
            fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
            if self._umask & 0o755:
                os.fchmod(fd, 0o755)
            self._times[path] = self._mtime  # of what it was made for: the same wherever this is unpacked
        except NotADirectoryError:  # also what a link is to O_DIRECTORY with O_NOFOLLOW
            fd = self._through(parent, above, path, name, create)
        self._directories[path] = fd
        return fd

    def _through(self, parent: int, above: bytes, path: bytes, name: bytes, create: bool) -> int:
        """The archive put something else where a directory is needed: follow a link within the root, or replace it."""
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(there.st_mode):
            if create:
                os.close(paths.make_dirs_in_root(self._root, os.fsdecode(path), 0o755))
            return paths.open_in_root(self._root, os.fsdecode(path), os.O_RDONLY | os.O_DIRECTORY)
        if not create:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if not self._make_directory(parent, above, name):
            raise InvalidArchive(f"{_show(path)} is used as a directory and is none")
        return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)

    def _forget_directories(self) -> None:
        for path, fd in self._directories.items():
            if path:
                os.close(fd)
        self._directories = {b"": self._root}

    def _clear(self, parent: int, directory: bytes, name: bytes) -> None:
        """Remove what an earlier entry of this archive put at a name; the last entry counts."""
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(there.st_mode):
            if there.st_nlink == 1 and (stat.S_ISREG(there.st_mode) or stat.S_ISLNK(there.st_mode)):
                self._size -= there.st_size
            os.unlink(name, dir_fd=parent)
        else:
            self._size -= _tree_size(parent, name)
            shutil.rmtree(name, dir_fd=parent)
        path = directory + b"/" + name if directory else name
        inside = path + b"/"
        for known in [known for known in self._directories if known == path or known.startswith(inside)]:
            os.close(self._directories.pop(known))
        for known in [known for known in self._times if known == path or known.startswith(inside)]:
            del self._times[known]

    def _set_directory_times(self) -> None:
        """Last, because every entry made in a directory changes its time."""
        for path in sorted(self._times):
            if len(self._directories) > _CACHED_DIRECTORIES:
                self._forget_directories()
            time = contents.bounded_time(self._times[path])
            try:
                fd = self._parent(path, create=False)
                os.utime(fd, ns=(time, time))
            except OSError as error:
                raise _translate(error, path) from error

    def _set_xattrs(self, fd: int, entry: Entry) -> None:
        for key, value in (entry.xattrs or {}).items():
            if not kept(key):
                continue
            try:
                os.setxattr(fd, key, value)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise


def _set_opaque(parent: int, name: bytes) -> None:
    fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    try:
        os.setxattr(fd, _OPAQUE_XATTR, b"y")
    finally:
        os.close(fd)


def _is_whiteout(there: os.stat_result) -> bool:
    return stat.S_ISCHR(there.st_mode) and there.st_rdev == 0


def _tree_size(parent: int, name: bytes) -> int:
    total = 0
    for _, _, files, fd in os.fwalk(name, dir_fd=parent):
        for file in files:
            there = os.stat(file, dir_fd=fd, follow_symlinks=False)
            if there.st_nlink == 1 and (stat.S_ISREG(there.st_mode) or stat.S_ISLNK(there.st_mode)):
                total += there.st_size
    return total


def _umask() -> int:
    """This process's umask, read without setting it (other threads create files meanwhile)."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return 0o777


def _show(name: bytes) -> str:
    return repr(os.fsdecode(name)[:120])


def _translate(error: OSError, name: bytes) -> ScowError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
        return ResourceExhausted(f"cannot unpack {_show(name)}: {error.strerror}")
    return UnpackFailed(f"cannot unpack {_show(name)}: {error.strerror}")

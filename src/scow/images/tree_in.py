"""An archive into a living tree: what `cp` puts into a container, and what its client takes from one.

Nothing outside the root can be touched, whatever the archive names and whatever a process in the tree changes meanwhile:
each entry's directory is looked up anew by the rooted resolver, and the entry itself is made there by its fd, exclusively
and without following a link. What stands at its place is removed first, never written through.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass

from scow.errors import Internal, NotFound, ResourceExhausted, ScowError
from scow.images import contents
from scow.images.archive import entry as kinds
from scow.images.archive.entry import Entry
from scow.images.archive.limits import DEFAULT, ArchiveTooLarge, InvalidArchive
from scow.images.archive.reader import TarReader
from scow.images.archive.xattrs import kept
from scow.linux import libc, paths

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PARENT = libc.O_PATH | os.O_DIRECTORY


class CannotPlace(Internal):
    """The file system refuses an entry."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`keep_kinds`: a directory is not replaced by something else, nor the other way round. `owner`: of all that is made,
    in place of the archive's; None with `chown` off leaves it to the file system. `links`: whether links on the way to an
    entry are followed, inside the root. `any_target`: links may name what is outside of the tree. `hidden`: directories (fds)
    that take nothing in.
    """

    keep_kinds: bool = False
    owner: tuple[int, int] | None = None
    chown: bool = True
    links: bool = True
    any_target: bool = False
    hidden: Callable[[int], bool] = lambda _: False


class Placer:
    """Places the entries of an archive below the directory `base` of the tree whose root is the fd `root`."""

    def __init__(self, root: int, base: bytes, rules: Rules) -> None:
        self._root = root
        self._base = base.rstrip(b"/")
        self._rules = rules
        self._resolve = 0 if rules.links else libc.RESOLVE_NO_SYMLINKS
        self._times: dict[bytes, int] = {}
        self._parent = -1
        self._parent_path = b""

    def apply(self, reader: TarReader, rename: Callable[[bytes], bytes] | None = None) -> None:
        """Every entry, by the name that `rename` gives it. InvalidArchive, ArchiveTooLarge, NotFound, ResourceExhausted
        or CannotPlace; what was placed before stays.
        """
        try:
            for entry in reader:
                if rename is not None:
                    entry.name = rename(entry.name)
                    if entry.kind == kinds.HARDLINK:
                        entry.target = rename(entry.target)
                try:
                    self._apply(entry, reader)
                except OSError as error:
                    raise self._translate(error, entry.name) from error
            self._set_times()
        finally:
            self._close()

    def _apply(self, entry: Entry, reader: TarReader) -> None:
        directory, _, name = entry.name.rpartition(b"/")
        if not name:
            return  # the directory itself is somebody else's: it stays as it is
        parent = self._open_parent(directory)
        if self._make_way(parent, directory, name, entry):
            return
        if entry.kind == kinds.FILE:
            self._file(parent, name, entry, reader)
        elif entry.kind == kinds.DIRECTORY:
            self._directory(parent, name, entry)
        elif entry.kind == kinds.HARDLINK:
            self._hardlink(parent, name, entry)
        elif entry.kind == kinds.SYMLINK:
            self._symlink(parent, directory, name, entry)
        else:
            self._node(parent, name, entry)

    # ------------------------------------------------------------ places

    def _open_parent(self, directory: bytes) -> int:
        """The directory of an entry, made when it is missing. The last one is kept, for its files follow each other."""
        if self._parent >= 0 and directory == self._parent_path:
            return self._parent
        self._close()
        path = self._base + b"/" + directory if directory else self._base or b"."
        try:
            fd = paths.open_in_root(self._root, path, _PARENT, resolve=self._resolve)
        except FileNotFoundError:
            if not directory:
                raise
            if self._rules.links:
                fd = paths.make_dirs_in_root(self._root, path)
            else:
                fd = self._make_strictly(path)
        try:
            if self._rules.hidden(fd):
                raise CannotPlace(f"{_show(path)} is no place for files: it belongs to the kernel")
        except BaseException:
            os.close(fd)
            raise
        self._parent, self._parent_path = fd, directory
        return fd

    def _make_strictly(self, path: bytes) -> int:
        fd = paths.open_in_root(self._root, b".", _PARENT)
        for name in path.split(b"/"):
            if not name:
                continue
            try:
                try:
                    inner = libc.open_at(fd, name, _PARENT | os.O_NOFOLLOW)
                except FileNotFoundError:
                    libc.mkdir_at(fd, name, 0o755)
                    inner = libc.open_at(fd, name, _PARENT | os.O_NOFOLLOW)
            finally:
                os.close(fd)
            fd = inner
        return fd

    def _make_way(self, parent: int, directory: bytes, name: bytes, entry: Entry) -> bool:
        """Remove what stands at the entry's place. True when nothing has to be made."""
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        is_directory = stat.S_ISDIR(there.st_mode)
        path = self._base + b"/" + entry.name
        if is_directory and entry.kind == kinds.DIRECTORY:
            return self._hides(parent, name)
        if self._rules.keep_kinds and is_directory:
            raise CannotPlace(f"cannot overwrite directory {_quote(path)} with non-directory {_quote(self._base)}")
        if self._rules.keep_kinds and entry.kind == kinds.DIRECTORY:
            raise CannotPlace(f"cannot overwrite non-directory {_quote(path)} with directory {_quote(self._base)}")
        if is_directory:
            _remove_tree(parent, name, 0)
            inside = entry.name + b"/"
            for known in [known for known in self._times if known == entry.name or known.startswith(inside)]:
                del self._times[known]
        elif entry.kind != kinds.HARDLINK or not self._is_same(there, entry):
            _refuse_mount(parent, name)
            os.unlink(name, dir_fd=parent)
        else:
            return True
        return False

    def _hides(self, parent: int, name: bytes) -> bool:
        fd = libc.open_at(parent, name, _PARENT | os.O_NOFOLLOW)
        try:
            return self._rules.hidden(fd)
        finally:
            os.close(fd)

    def _is_same(self, there: os.stat_result, entry: Entry) -> bool:
        directory, _, name = entry.target.rpartition(b"/")
        try:
            fd = self._open_existing(directory)
        except OSError:
            return False
        try:
            target = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            return False
        finally:
            os.close(fd)
        return (target.st_dev, target.st_ino) == (there.st_dev, there.st_ino)

    def _open_existing(self, directory: bytes) -> int:
        path = self._base + b"/" + directory if directory else self._base or b"."
        return paths.open_in_root(self._root, path, _PARENT, resolve=self._resolve)

    # ------------------------------------------------------------ entries

    def _file(self, parent: int, name: bytes, entry: Entry, reader: TarReader) -> None:
        fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            contents.write(fd, entry, reader)
            self._attributes(fd, entry)
            time = contents.bounded_time(entry.mtime)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)

    def _directory(self, parent: int, name: bytes, entry: Entry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            pass
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        try:
            self._attributes(fd, entry)
        finally:
            os.close(fd)
        self._times[entry.name] = entry.mtime

    def _attributes(self, fd: int, entry: Entry) -> None:
        owner = self._rules.owner or ((entry.uid, entry.gid) if self._rules.chown else None)
        if owner is not None:
            os.fchown(fd, *owner)
        os.fchmod(fd, entry.mode)
        for key, value in (entry.xattrs or {}).items():
            if kept(key):
                try:
                    os.setxattr(fd, key, value)
                except OSError as error:
                    if error.errno not in (errno.ENOTSUP, errno.EPERM):
                        raise

    def _hardlink(self, parent: int, name: bytes, entry: Entry) -> None:
        directory, _, source = entry.target.rpartition(b"/")
        if not source:
            raise InvalidArchive(f"{_show(entry.name)} is a hard link to the root of the archive")
        fd = self._open_existing(directory)
        try:
            if self._rules.hidden(fd):
                raise InvalidArchive(f"{_show(entry.name)} is a hard link to a file of the kernel")
            os.link(source, name, src_dir_fd=fd, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(fd)

    def _symlink(self, parent: int, directory: bytes, name: bytes, entry: Entry) -> None:
        target = os.fsdecode(entry.target)
        if not target.startswith("/") and not self._rules.any_target:
            # one that leads out of the directory is refused, as Docker does
            reached = posixpath.normpath(posixpath.join(os.fsdecode(directory) or ".", target))
            if reached == ".." or reached.startswith("../"):
                path = self._base + b"/" + entry.name
                raise InvalidArchive(f"invalid symlink {_quote(path)} -> {_quote(entry.target)}")
        os.symlink(entry.target, name, dir_fd=parent)
        self._own(parent, name, entry, stat.S_IFLNK)

    def _node(self, parent: int, name: bytes, entry: Entry) -> None:
        """A fifo or a device."""
        if entry.kind == kinds.FIFO:
            kind, device = stat.S_IFIFO, 0
        else:
            kind = stat.S_IFCHR if entry.kind == kinds.CHARACTER else stat.S_IFBLK
            device = os.makedev(entry.major, entry.minor)
        os.mknod(name, kind | 0o600, device, dir_fd=parent)
        self._own(parent, name, entry, kind, entry.mode)

    def _own(self, parent: int, name: bytes, entry: Entry, kind: int, mode: int = -1) -> None:
        """By an fd of what was made just now, if it still is what stands there."""
        fd = libc.open_at(parent, name, libc.O_PATH | os.O_NOFOLLOW)
        try:
            there = os.fstat(fd)
            if stat.S_IFMT(there.st_mode) != kind or there.st_nlink != 1:
                return
            owner = self._rules.owner or ((entry.uid, entry.gid) if self._rules.chown else None)
            if owner is not None:
                libc.chown_fd(fd, *owner)
            if mode >= 0:
                os.chmod(f"/proc/self/fd/{fd}", mode)
        finally:
            os.close(fd)
        time = contents.bounded_time(entry.mtime)
        os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)

    # ------------------------------------------------------------ the end

    def _set_times(self) -> None:
        """Last, because every entry made in a directory changes its time."""
        for path, time in self._times.items():
            bounded = contents.bounded_time(time)
            directory, _, name = path.rpartition(b"/")
            try:
                fd = self._open_existing(directory)
            except OSError:
                continue  # somebody has moved it
            try:
                os.utime(name, ns=(bounded, bounded), dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue
            finally:
                os.close(fd)

    def _close(self) -> None:
        if self._parent >= 0:
            os.close(self._parent)
            self._parent = -1

    def _translate(self, error: OSError, name: bytes) -> ScowError:
        path, reason = _show(self._base + b"/" + name), (error.strerror or str(error)).lower()
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            return ResourceExhausted(f"cannot write {path}: {reason}")
        if error.errno == errno.EBUSY:
            return CannotPlace(f"unlinkat {path}: {reason}")
        if error.errno == errno.ENOENT:
            return NotFound(f"cannot write {path}: {reason}")
        return CannotPlace(f"cannot write {path}: {reason}")


def _refuse_mount(parent: int, name: bytes) -> None:
    """EBUSY for a place where something is mounted. The kernel says so to processes of that mount namespace only, of
    which we are none: it would remove the mount too.
    """
    if paths.is_mount(parent, name):
        raise libc.failure(errno.EBUSY, f"unlinkat {os.fsdecode(name)}")


def _remove_tree(parent: int, name: bytes, depth: int) -> None:
    """The directory `name` and all below it, in which nothing may be mounted."""
    if depth > DEFAULT.depth:
        raise ArchiveTooLarge(f"{_show(name)} is nested deeper than {DEFAULT.depth} directories")
    _refuse_mount(parent, name)
    fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    try:
        for text in os.listdir(fd):
            inner = os.fsencode(text)
            if stat.S_ISDIR(os.stat(inner, dir_fd=fd, follow_symlinks=False).st_mode):
                _remove_tree(fd, inner, depth + 1)
            else:
                _refuse_mount(fd, inner)
                os.unlink(inner, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def _show(path: bytes) -> str:
    return os.fsdecode(path[:200]).encode("utf-8", "backslashreplace").decode()


def _quote(path: bytes) -> str:
    return f'"{_show(path) or "/"}"'

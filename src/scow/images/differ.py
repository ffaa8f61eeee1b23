"""Trees to archives: the writable directory of a container as a layer, a tree compared with what it came from, a whole
root file system.

The three walks are in byte order and read through directory fds only. A layer follows the OCI specification: `.wh.NAME`
for what is gone, `.wh..wh..opq` in a directory that hides all that is below it, and parents before what they hold
(https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md).
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence

from scow.errors import DataLoss, ResourceExhausted
from scow.images.archive.bound import Bound
from scow.images.archive.limits import DEFAULT
from scow.images.archive.writer import Emit, TarWriter, xattrs_of
from scow.images.merged import DIRECTORY, FILE, View, inside, is_opaque, is_whiteout

_REDIRECTS = ("trusted.overlay.redirect", "trusted.overlay.metacopy")


class TreeTooDeep(ResourceExhausted):
    """Directories are nested deeper than any layer may be."""


class ForeignUpper(DataLoss):
    """The writable directory was used with features of overlayfs that a layer cannot express."""


class Placeholders:
    """Mount points that the engine made in a container's writable layer, and that are no change of the user's.

    A path counts only while nothing is there but an empty file or directory.
    """

    def __init__(self, paths: Iterable[bytes] = ()) -> None:
        """Paths are relative to the root, without a leading slash."""
        self.paths = frozenset(paths)
        self.parents = frozenset(
            b"/".join(parts[:end])
            for path in self.paths
            for parts in [path.split(b"/")]
            for end in range(1, len(parts))
        )

    def has(self, path: bytes, directory: int, name: bytes, there: os.stat_result) -> bool:
        """Whether `name` in the fd `directory` is one."""
        if path not in self.paths:
            return False
        if not stat.S_ISDIR(there.st_mode):
            return stat.S_ISREG(there.st_mode) and there.st_size == 0
        with inside(directory, name) as fd:
            return fd is not None and not os.listdir(fd)

    def parent_changed(self, path: bytes, fd: int, there: os.stat_result, below: int | None) -> bool:
        """Whether the directory `path` (fd), which was `below` before, differs in more than what placeholders do to it."""
        inside = {path + b"/" + os.fsencode(name) for name in os.listdir(fd)}
        made = bool(inside & self.paths or inside & self.parents)
        if below is None:
            return not made
        before = os.fstat(below)
        if (there.st_mode, there.st_uid, there.st_gid) != (before.st_mode, before.st_uid, before.st_gid):
            return True
        return xattrs_of(fd) != xattrs_of(below) or (not made and there.st_mtime_ns != before.st_mtime_ns)


NO_PLACEHOLDERS = Placeholders()


def write_upper(
    upper: str,
    emit: Emit,
    *,
    lowers: Sequence[str] = (),
    placeholders: Placeholders = NO_PLACEHOLDERS,
    whole_seconds: bool = False,
    bound: Bound | None = None,
) -> None:
    """Write an overlayfs upper directory (or any plain tree) as a layer.

    `lowers`, top first, are needed only to tell whether a parent of a placeholder has changed. `bound` as for TarWriter.
    Runs in a thread.
    Raises TreeChanged, TreeTooDeep, ForeignUpper or OSError.
    """
    writer = TarWriter(emit, whole_seconds=whole_seconds, bound=bound)
    root = os.open(upper, DIRECTORY)
    try:
        with View.open(lowers) as below:
            _Upper(writer, placeholders).walk(root, below, b"", 0)
    finally:
        os.close(root)
    writer.end()


def write_difference(
    tree: str,
    lowers: Sequence[str],
    emit: Emit,
    *,
    placeholders: Placeholders = NO_PLACEHOLDERS,
    bound: Bound | None = None,
) -> None:
    """Write what makes `tree`, a changed copy of the merged `lowers`, as a layer over them: for native snapshots.

    A file counts as unchanged when its kind, mode, owner, size, modification time and attributes are the same.
    """
    writer = TarWriter(emit, bound=bound)
    root = os.open(tree, DIRECTORY)
    try:
        with View.open(lowers) as below:
            _Comparison(writer, placeholders).walk(root, below, b"", 0)
    finally:
        os.close(root)
    writer.end()


def newest(upper: str, before: int) -> int:
    """The newest time of a file that lies before a moment, both in Unix nanoseconds; 0 for none. TreeTooDeep."""
    root = os.open(upper, DIRECTORY)
    try:
        return _newest(root, before, b"", 0)
    finally:
        os.close(root)


def _newest(directory: int, before: int, prefix: bytes, depth: int) -> int:
    check_depth(depth, prefix)
    latest = 0
    for name, there in _listing(directory):
        if latest < there.st_mtime_ns < before:
            latest = there.st_mtime_ns
        if stat.S_ISDIR(there.st_mode):
            with inside(directory, name) as fd:
                if fd is not None:
                    latest = max(latest, _newest(fd, before, prefix + name + b"/", depth + 1))
    return latest


def write_whole(layers: Sequence[str], emit: Emit) -> None:
    """Write the tree that `layers` (top first) make up, for an export. Its container may run on meanwhile."""
    writer = TarWriter(emit, lenient=True)
    with View.open(layers) as root:
        _write_view(writer, root, b"", 0)
    writer.end()


class _Pending:
    """Directory headers that are written once something below them is."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def push(self, write: Callable[[], None]) -> None:
        self._waiting.append(write)

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for write in waiting:
            write()

    def drop(self) -> None:
        """Forget the innermost one, if it has not been written."""
        if self._waiting:
            self._waiting.pop()


class _Walk:
    """A walk over a changed tree: what differs is written, a directory when something in it or about it does."""

    def __init__(self, writer: TarWriter, placeholders: Placeholders) -> None:
        self._writer = writer
        self._placeholders = placeholders
        self._pending = _Pending()


class _Upper(_Walk):
    """The walk over an upper directory."""

    def walk(self, directory: int, below: View, prefix: bytes, depth: int) -> None:
        check_depth(depth, prefix)
        for name, there in _listing(directory):
            path = prefix + name
            if path in self._placeholders.paths and self._placeholders.has(path, directory, name, there):
                continue
            if stat.S_ISDIR(there.st_mode):
                with inside(directory, name) as fd:
                    if fd is not None:
                        self._directory(fd, below, path, name, there, depth)
                continue
            self._pending.flush()
            if is_whiteout(there):
                self._writer.whiteout(prefix, name)
            else:
                _refuse_metacopy(directory, name, path, there)
                _file(self._writer, directory, name, path, there)

    def _directory(self, fd: int, below: View, path: bytes, name: bytes, there: os.stat_result, depth: int) -> None:
        _refuse_redirect(fd, path)

        def write() -> None:
            self._writer.directory(path + b"/", fd, there)
            if opaque:
                self._writer.opaque(path + b"/")

        opaque = is_opaque(fd)
        if path not in self._placeholders.parents:
            self._pending.flush()
            write()
            self.walk(fd, below, path + b"/", depth + 1)
            return
        with below.enter(name) as under:
            self._pending.push(write)
            self.walk(fd, under, path + b"/", depth + 1)
            if opaque or self._placeholders.parent_changed(path, fd, there, under.top):
                self._pending.flush()
            self._pending.drop()


class _Comparison(_Walk):
    """The walk over a changed copy beside its original."""

    def walk(self, directory: int, below: View, prefix: bytes, depth: int) -> None:
        check_depth(depth, prefix)
        before = below.entries()
        names = dict(_listing(directory))
        for name in sorted({*before, *names}):
            path = prefix + name
            old, new = before.get(name), names.get(name)
            if new is None:
                self._pending.flush()
                self._writer.whiteout(prefix, name)
            elif old is None and self._placeholders.has(path, directory, name, new):
                continue
            elif stat.S_ISDIR(new.st_mode):
                with inside(directory, name) as fd, below.enter(name) as under:
                    if fd is not None:
                        self._directory(fd, under, path, new, depth)
            elif old is None or not same_file(directory, new, old.directory, old.there, name):
                self._pending.flush()
                _file(self._writer, directory, name, path, new)

    def _directory(self, fd: int, under: View, path: bytes, there: os.stat_result, depth: int) -> None:
        self._pending.push(lambda: self._writer.directory(path + b"/", fd, there))
        if path in self._placeholders.parents:
            changed = self._placeholders.parent_changed(path, fd, there, under.top)
        else:
            changed = under.top is None or not same_directory(fd, there, under.top, os.fstat(under.top))
        if changed:
            self._pending.flush()
        self.walk(fd, under, path + b"/", depth + 1)
        self._pending.drop()


def same_directory(one: int, there: os.stat_result, other: int, before: os.stat_result) -> bool:
    """Whether two directories have the same attributes (times, too)."""
    return (there.st_mode, there.st_uid, there.st_gid, there.st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
        before.st_mtime_ns,
    ) and xattrs_of(one) == xattrs_of(other)


def same_file(one: int, there: os.stat_result, other: int, before: os.stat_result, name: bytes) -> bool:
    """Whether `name` is the same in the directory fds `one` and `other`, as far as can be told without its content. What
    is gone is not.
    """
    if (there.st_mode, there.st_uid, there.st_gid, there.st_rdev, there.st_size, there.st_mtime_ns) != (
        before.st_mode,
        before.st_uid,
        before.st_gid,
        before.st_rdev,
        before.st_size,
        before.st_mtime_ns,
    ):
        return False
    try:
        if stat.S_ISLNK(there.st_mode):
            return os.readlink(name, dir_fd=one) == os.readlink(name, dir_fd=other)
        return not stat.S_ISREG(there.st_mode) or _xattrs(one, name) == _xattrs(other, name)
    except FileNotFoundError:
        return False


def _write_view(writer: TarWriter, view: View, prefix: bytes, depth: int) -> None:
    check_depth(depth, prefix)
    for name, found in view.entries().items():
        path = prefix + name
        if stat.S_ISDIR(found.there.st_mode):
            with view.enter(name) as inner:
                if inner.top is None:
                    continue  # replaced meanwhile
                writer.directory(path + b"/", inner.top, found.there)
                _write_view(writer, inner, path + b"/", depth + 1)
        else:
            _file(writer, found.directory, name, path, found.there)


def _file(writer: TarWriter, directory: int, name: bytes, path: bytes, there: os.stat_result) -> None:
    try:
        writer.file(directory, name, path, there)
    except FileNotFoundError:
        return  # its container goes on


def _listing(directory: int) -> list[tuple[bytes, os.stat_result]]:
    """Names in byte order with their stat; what vanishes meanwhile is left out."""
    result = []
    for name in sorted(os.fsencode(text) for text in os.listdir(directory)):
        try:
            result.append((name, os.stat(name, dir_fd=directory, follow_symlinks=False)))
        except FileNotFoundError:
            continue
    return result


def _xattrs(directory: int, name: bytes) -> dict[str, bytes] | None:
    fd = os.open(name, FILE, dir_fd=directory)
    try:
        return xattrs_of(fd)
    finally:
        os.close(fd)


def check_depth(depth: int, prefix: bytes) -> None:
    """TreeTooDeep beyond the bound of the archives that we read; `prefix` is the path so far."""
    if depth > DEFAULT.depth:
        raise TreeTooDeep(f"{os.fsdecode(prefix[:80])!r}… is nested deeper than {DEFAULT.depth} directories")


def _refuse_redirect(fd: int, path: bytes) -> None:
    if any(_has(fd, key) for key in _REDIRECTS):
        raise ForeignUpper(f"{os.fsdecode(path)!r} was renamed by overlayfs (redirect_dir), which no layer can express")


def _refuse_metacopy(directory: int, name: bytes, path: bytes, there: os.stat_result) -> None:
    """A file whose content is still below has no blocks of its own (metacopy)."""
    if not stat.S_ISREG(there.st_mode) or there.st_blocks or not there.st_size:
        return
    try:
        fd = os.open(name, FILE, dir_fd=directory)
    except FileNotFoundError:
        return
    try:
        if _has(fd, _REDIRECTS[1]):
            raise ForeignUpper(f"the content of {os.fsdecode(path)!r} is not in its layer (metacopy)")
    finally:
        os.close(fd)


def _has(fd: int, key: str) -> bool:
    try:
        os.getxattr(fd, key)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise
    return True

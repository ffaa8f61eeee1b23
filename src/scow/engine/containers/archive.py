"""cp: a file or directory of a container as an archive, and an archive into a directory of a container.

A running container is seen as its processes see it, through the root of its mount namespace; no process of it takes
part, so a paused one is no obstacle. One that does not run gets its tree mounted for a while, for us alone, and cannot
be started or removed until that is over: two mounts of one writable layer would spoil each other.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from scow.background import apart
from scow.engine.containers import files, happenings, mounting
from scow.engine.context import Engine
from scow.engine.registry import Entry
from scow.errors import Cancelled, Conflict, Internal, NotFound, ScowError
from scow.images import outlet, pipe
from scow.images.archive.reader import TarReader
from scow.images.decompress import Decompressed
from scow.images.tree_in import Placer, Rules
from scow.images.tree_out import write_tree
from scow.linux import libc, paths, users, views
from scow.linux.views import Bind, Tree

T = TypeVar("T")
_NAME_FILES = (("/etc/resolv.conf", "resolv.conf"), ("/etc/hostname", "hostname"), ("/etc/hosts", "hosts"))


@dataclass(frozen=True, slots=True)
class PathStat:
    """What is at a path of a container. `mode` as in st_mode; `mtime` in Unix ns; `target`: where a link leads in the end."""

    name: str
    size: int
    mode: int
    mtime: int
    target: str


async def stat_path(engine: Engine, name: str, path: str) -> PathStat:
    """A link is told as itself, unless the path ends with a slash or a dot. NotFound with Docker's sentence."""
    async with _tree(engine, name) as (_, tree):
        return await _work(partial(_stat, tree, path, name))


async def read_path(engine: Engine, name: str, path: str) -> "tuple[PathStat, AsyncIterator[bytes]]":
    """What is there, and it with all below as an archive, piece by piece. The iterator must be closed."""
    pieces = _read(engine, name, path)
    try:
        first = await anext(pieces)
    except BaseException:
        await pieces.aclose()  # type: ignore[attr-defined]
        raise
    assert isinstance(first, PathStat)
    return first, pieces  # type: ignore[return-value]


async def _read(engine: Engine, name: str, path: str) -> AsyncIterator[PathStat | bytes]:
    async with _tree(engine, name) as (entry, tree):
        found = await _work(partial(_stat, tree, path, name))
        yield found
        happenings.publish(engine, entry.container, "archive-path")
        stream = outlet.pieces(partial(_write, tree, path, name), f"cp-{entry.container.id[:12]}", own_thread=True)
        try:
            async for piece in stream:
                yield piece
        finally:
            await stream.aclose()


async def extract(
    engine: Engine, name: str, path: str, archive: AsyncIterator[bytes], *, keep_kinds: bool, own: bool
) -> None:
    """Put an archive (gzip, zstd, xz or bzip2 around it are undone) into the directory `path`, links followed.

    `own`: what is made belongs to the container's user instead of to whom the archive says.
    """
    async with _tree(engine, name) as (entry, tree):
        task = entry.task
        base = await _work(partial(_destination, tree, path, name))
        happenings.publish(engine, entry.container, "extract-to-dir")

        def place(read: Callable[[], bytes]) -> None:
            def source() -> bytes:
                if entry.task is not task:
                    raise Cancelled(f"container {name} has ended while it was copied to")
                return read()

            owner = None
            if own and entry.container.config.user:
                identity = users.resolve(tree.root, entry.container.config.user)
                owner = (identity.uid, identity.gid)
            rules = Rules(keep_kinds=keep_kinds, owner=owner, hidden=views.is_kernel)
            plain = Decompressed(source, hashed=False)
            reader = TarReader(plain)
            Placer(tree.root, base, rules).apply(reader)
            reader.drain()

        await pipe.through(archive, lambda read: apart(partial(place, read), "cp"))


# ---------------------------------------------------------------- the tree


@asynccontextmanager
async def _tree(engine: Engine, name: str) -> AsyncIterator[tuple[Entry, Tree]]:
    entry = engine.containers.find(name)
    await entry.settled()
    tree = await _living(entry)
    if tree is not None:
        try:
            yield entry, tree
        finally:
            tree.close()
        return
    async with entry.lock:
        container = entry.container
        if entry.removing or container.id not in engine.containers:
            raise Conflict(f"container {name} is being removed")
        if entry.task is not None:
            raise Conflict(f"container {name} has just been started")
        await mounting.hold(engine, container)
        try:
            tree = await _work(partial(_assemble, engine, entry), Tree.close)
            try:
                yield entry, tree
            finally:
                tree.close()
        finally:
            await mounting.let_go(engine, container)


async def _living(entry: Entry) -> Tree | None:
    """The tree of a container that runs, None when it does not."""
    while (task := entry.task) is not None:
        try:
            tree = await _work(partial(views.of_process, task.pid), Tree.close)
        except (FileNotFoundError, ProcessLookupError):
            if entry.task is task:
                await task.wait()
            await entry.settled()
            if entry.task is task:
                return None
            continue
        if entry.task is task:  # so its pid was its own
            return tree
        tree.close()
    return None


def _assemble(engine: Engine, entry: Entry) -> Tree:
    container = entry.container
    directory = files.directory(engine, container.id)
    (root,) = engine.snapshots.mounts(container.id, container.layers)
    points = [point for point in container.mount_points if point.kind != "tmpfs"]
    binds = [Bind(point.source, point.target, point.read_only) for point in points]
    taken = {point.target for point in points}
    for target, name in _NAME_FILES:
        if target not in taken and os.path.exists(f"{directory}/{name}"):
            binds.append(Bind(f"{directory}/{name}", target, False))
    binds.sort(key=lambda bind: (bind.target.count("/"), bind.target))
    try:
        return views.assemble(
            directory,
            str(root.get("type")),
            str(root.get("source") or ""),
            tuple(root.get("options") or ()),
            binds,
            container.host.read_only_rootfs,
        )
    except OSError as error:
        raise Internal(
            f"cannot mount the files of container {container.id}: {(error.strerror or '').lower()}"
        ) from error


async def _work(work: Callable[[], T], discard: Callable[[T], object] = lambda _: None) -> T:
    """In a thread of its own, to its end; what it has made for a caller who was cancelled meanwhile is discarded."""
    worker = apart(work, "cp")
    try:
        return await asyncio.shield(worker)
    except BaseException:
        await pipe.settle(worker, discard)
        raise


# ---------------------------------------------------------------- paths, in threads


def _parse(path: str) -> tuple[bytes, bytes, bool]:
    """(clean absolute path, the name it is shown by, whether a link at its end is followed), by Docker's rules."""
    raw = os.fsencode(path)
    names = paths.components(raw)
    last = raw.rpartition(b"/")[2]
    clean = b"/" + b"/".join(names)
    if last == b".":
        return clean, b".", True
    return clean, names[-1] if names else b"/", last == b""


def _find(tree: Tree, path: str, name: str) -> tuple[int, bytes, bytes]:
    """(fd of a directory, name in it, shown name); the name is b"." for the directory itself. The fd is the caller's."""
    clean, shown, follow = _parse(path)
    try:
        if follow or clean == b"/":
            return _visible(paths.open_in_root(tree.root, clean, libc.O_PATH | os.O_DIRECTORY), path, name), b".", shown
        above, last = paths.split_last(clean)
        fd = paths.open_in_root(tree.root, above, libc.O_PATH | os.O_DIRECTORY)
        try:
            os.stat(last, dir_fd=fd, follow_symlinks=False)
        except BaseException:
            os.close(fd)
            raise
        return _visible(fd, path, name), last, shown
    except OSError as error:
        raise _not_found(error, path, name) from None


def _visible(fd: int, path: str, name: str) -> int:
    if views.is_kernel(fd):
        os.close(fd)
        raise NotFound(f"Could not find the file {path} in container {name}")
    return fd


def _not_found(error: OSError, path: str, name: str) -> ScowError:
    if error.errno == errno.ENOENT:
        return NotFound(f"Could not find the file {path} in container {name}")
    return Internal(f"lstat {path}: {(error.strerror or '').lower()}")


def _stat(tree: Tree, path: str, name: str) -> PathStat:
    fd, last, shown = _find(tree, path, name)
    try:
        there = os.stat(last, dir_fd=fd, follow_symlinks=False) if last != b"." else os.fstat(fd)
        target = b""
        if stat.S_ISLNK(there.st_mode):
            target = views.real_path(tree.root, _parse(path)[0])
            if not target:
                raise Internal(f"evalSymlinksInScope: too many links in {path}")
    finally:
        os.close(fd)
    return PathStat(os.fsdecode(shown), there.st_size, there.st_mode, there.st_mtime_ns, os.fsdecode(target))


def _write(tree: Tree, path: str, name: str, emit: Callable[[bytes], object]) -> None:
    fd, last, shown = _find(tree, path, name)
    try:
        write_tree(fd, last, shown, emit, views.is_kernel)
    except OSError as error:
        raise _not_found(error, path, name) from None
    finally:
        os.close(fd)


def _destination(tree: Tree, path: str, name: str) -> bytes:
    """The clean path of a directory that can be written into."""
    clean, _, _ = _parse(path)
    try:
        fd = paths.open_in_root(tree.root, clean, libc.O_PATH)
    except OSError as error:
        raise _not_found(error, path, name) from None
    try:
        if views.is_kernel(fd):
            raise NotFound(f"Could not find the file {path} in container {name}")
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise Internal("extraction point is not a directory")
        if os.statvfs(f"/proc/self/fd/{fd}").f_flag & os.ST_RDONLY:
            root = os.fstat(fd).st_dev == os.fstat(tree.root).st_dev
            raise Internal("container rootfs is marked read-only" if root else "mounted volume is marked read-only")
    finally:
        os.close(fd)
    return clean

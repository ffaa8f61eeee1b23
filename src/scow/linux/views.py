"""A container's tree of files for the engine's own use: that of a running process, or one put together for a while.

Both are got in a thread of its own, which alone enters or makes a mount namespace (the others keep theirs) and ends at
once; what stays is an fd of the root. Names are looked up below it by the rooted resolver, so links cannot lead out, and
no path of the host is ever built from a name in the container (CVE-2018-15664).
"""

import errno
import gc
import os
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from scow.linux import libc, mounts, paths

T = TypeVar("T")
_gate = threading.Lock()
_LINKS = 255  # as many as Docker follows

# File systems that are windows into the kernel: what is in them is no file of the container's.
_KERNEL = frozenset(
    (
        paths.PROC_MAGIC,
        paths.DEVPTS_MAGIC,
        0x62656572,  # sysfs
        0x27E0EB,  # cgroup
        0x63677270,  # cgroup2
        0x19800202,  # mqueue
        0x64626720,  # debugfs
        0x74726163,  # tracefs
        0x73636673,  # securityfs
        0xCAFE4A11,  # bpf
        0x6165676C,  # pstore
        0xDE5E81E4,  # efivarfs
        0x62656570,  # configfs
        0x65735543,  # fusectl
        0x42494E4D,  # binfmt_misc
        0x6E736673,  # nsfs
        0xF97CFF8C,  # selinuxfs
    )
)


@dataclass(frozen=True, slots=True)
class Bind:
    """Something of the host's to be seen in a tree: `source` below `target`."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """`root` is an O_PATH fd; `namespace` keeps what is mounted below it, -1 when that has an owner. Close it."""

    root: int
    namespace: int = -1

    def close(self) -> None:
        os.close(self.root)
        if self.namespace >= 0:
            os.close(self.namespace)


def is_kernel(fd: int) -> bool:
    """Whether `fd` lies in a file system that is no place for files."""
    return libc.filesystem_magic(fd) in _KERNEL


def of_process(pid: int) -> Tree:
    """The root of the mount namespace of `pid`, wherever the process has moved its own root. Blocks a little.

    FileNotFoundError when it has ended.
    """
    target = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def enter() -> Tree:
        libc.unshare(libc.CLONE_FS)
        # Between the two setns this thread looks names up in the container: nothing may be imported or finalized here.
        with _gate:
            collected = gc.isenabled()
            gc.disable()
            try:
                libc.setns(target, libc.CLONE_NEWNS)
                try:
                    root = libc.open_at(libc.AT_FDCWD, b"/", libc.O_PATH | os.O_DIRECTORY)
                finally:
                    libc.setns(home, libc.CLONE_NEWNS)
            finally:
                if collected:
                    gc.enable()
        return Tree(root)

    try:
        return _apart(enter)
    finally:
        os.close(target)
        os.close(home)


def assemble(
    place: str, kind: str, source: str, options: Sequence[str], binds: Sequence[Bind], read_only: bool
) -> Tree:
    """The tree of a container that does not run: its root mount (as runtime-spec words it) and what is bound into it.

    `place`: a directory of ours, over which the root is mounted in a namespace that nobody else sees. Mount points that
    are missing are made. `read_only` is the root's, once they are. Blocks.
    """
    root_options = mounts.parse(options)

    def make() -> Tree:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
        with ExitStack() as undo, ExitStack() as passing:

            def kept(fd: int) -> int:
                passing.callback(os.close, fd)
                return fd

            copies = [kept(mounts.copy(bind.source, recursive=True)) for bind in binds]
            target = kept(libc.open_at(libc.AT_FDCWD, place, libc.O_PATH | os.O_DIRECTORY))
            attached = False
            if kind == "overlay":
                root, attached = mounts.overlay(options, place)
            else:
                root = mounts.copy(source, recursive=root_options.bind == 2)
            undo.callback(os.close, root)
            if kind != "overlay":
                mounts.adjust(root, root_options)
            if not attached:
                libc.move_mount(root, target)
            for bind, copy in zip(binds, copies, strict=True):
                _attach(root, copy, bind)
            if read_only:
                libc.mount_setattr(root, set=libc.MOUNT_ATTR_RDONLY)
            namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            undo.pop_all()
            return Tree(root, namespace)

    return _apart(make)


def _attach(root: int, copy: int, bind: Bind) -> None:
    directory = stat.S_ISDIR(os.fstat(copy).st_mode)
    mounts.adjust(copy, mounts.parse(("rbind", "rprivate", *(("ro",) if bind.read_only else ()))))
    make = paths.make_dirs_in_root if directory else paths.make_file_in_root
    try:
        target = make(root, b"/" + b"/".join(paths.components(bind.target)))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return  # the container has put something else there: the rest of it can be seen all the same
        raise
    try:
        if directory == stat.S_ISDIR(os.fstat(target).st_mode):
            libc.move_mount(copy, target)
    finally:
        os.close(target)


def _apart(work: Callable[[], T]) -> T:
    """The result of `work` in a thread of its own, which ends with it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)

    thread = threading.Thread(target=run, name="mounts", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def real_path(root: int, path: bytes) -> bytes:
    """Where `path` leads when every link is followed below `root`; names that are missing are taken as they stand. b""
    when there are too many links. For people to read: what it says may have changed already.
    """
    done: list[bytes] = []
    left = [name for name in path.split(b"/") if name not in (b"", b".")]
    links = 0
    while left:
        name = left.pop(0)
        if name == b"..":
            del done[-1:]
            continue
        target = _link(root, b"/" + b"/".join([*done, name]))
        if not target:
            done.append(name)
            continue
        links += 1
        if links > _LINKS:
            return b""
        if target.startswith(b"/"):
            done = []
        left = [part for part in target.split(b"/") if part not in (b"", b".")] + left
    return b"/" + b"/".join(done)


def _link(root: int, path: bytes) -> bytes:
    """The text of the link at `path`, b"" when there is none."""
    try:
        fd = paths.open_in_root(root, path, libc.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        return os.readlink(b"", dir_fd=fd)
    except OSError:
        return b""
    finally:
        os.close(fd)

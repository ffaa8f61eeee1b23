"""The root filesystem of a container: the root mount, the mounts of the spec, masks, and the change of root.

Everything is made detached and attached by fd at a target that the rooted resolver opened. Runs in the child, in its
own mount namespace, before the root is changed: host paths in the spec still mean the host's.
"""

import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scow.errors import Unsupported
from scow.linux import borrowed, libc, mounts, paths, userns
from scow.oci.runtime import Mount
from scow.runtime import devices
from scow.runtime.failure import INIT, Failed
from scow.runtime.job import Job

_PROC_ALLOWED = frozenset(
    f"/proc/{name}"
    for name in (
        "cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo sys/kernel/ns_last_pid sys/crypto/fips_enabled"
    ).split()
)
"""Files of procfs that may be covered by a bind mount (lxcfs does it); anything else there could fool the engine."""


def build(job: Job) -> None:
    """Make the container's tree below the root path and leave an fd of its root in `job.root`."""
    wanted = [(mount, mounts.parse(mount.get("options") or ())) for mount in job.spec.get("mounts") or ()]
    copies = job.copies or tuple(_open_source(job, mount, options) for mount, options in wanted)
    job.copies = None
    job.trying("making the mount tree private")
    libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
    if job.root < 0:
        job.root = mount_root(job.rootfs, job.root_path, job.trying)
    else:  # the mapped root may not walk to the root path: what is mounted on / is as good for pivot_root
        job.trying("error preparing the root filesystem")
        target = libc.open_at(libc.AT_FDCWD, "/", libc.O_PATH | os.O_DIRECTORY)
        libc.move_mount(job.root, target)
        os.close(target)
    for (mount, options), copy in zip(wanted, copies, strict=True):
        _mount_one(job, mount, options, copy)
    if job.proc < 0 and job.linux.get("sysctl"):
        job.proc = _new_proc(job, mounts.Options(), "proc")
        _write_sysctls(job)
    devices.create(job)
    _make_cwd(job)


def open_ahead(job: Job, mappings: Mapping[str, Any]) -> None:
    """What a user namespace takes the right to away, by fd: the root's overlay, its layers below idmapped by the
    namespace's maps, and the sources of bind mounts.

    Runs before the clone, in a process of one thread.
    """
    (root,) = job.rootfs
    if root.get("type") != "overlay":
        raise Unsupported(f"a root of type {root.get('type')} cannot be idmapped")
    job.trying("error mounting idmapped layers as root filesystem")
    namespace = userns.make(mappings)
    try:
        job.root = mounts.idmapped_overlay(root.get("options") or (), namespace)
    finally:
        os.close(namespace)
    copies: list[int] = []
    for mount in job.spec.get("mounts") or ():
        copies.append(_open_source(job, mount, mounts.parse(mount.get("options") or ())))
        job.copies = tuple(copies)


def _open_source(job: Job, mount: Mount, options: mounts.Options) -> int:
    """A detached copy of a bind mount's source, taken before the tree is made private: so slaves keep their masters."""
    if not options.bind and mount.get("type") != "bind":
        return -1
    source = str(mount.get("source") or "")
    job.trying(f'error mounting "{source}" to rootfs at "{mount["destination"]}": bind source {source}')
    return mounts.copy_source(source, recursive=options.bind == 2)


def mount_root(rootfs: Sequence[Mount], path: str, trying: Callable[[str], None]) -> int:
    """Mount `rootfs` at `path`, in order; an fd of the root. `trying` is told what an OSError is about."""
    trying(f"error preparing the root filesystem at {path}")
    target = libc.open_at(libc.AT_FDCWD, path, libc.O_PATH | os.O_DIRECTORY)
    root = -1
    for mount in rootfs:
        words = mount.get("options") or ()
        options = mounts.parse(words)
        trying(f"error mounting {mount.get('type')} as root filesystem")
        if mount.get("type") == "overlay":
            root, attached = mounts.overlay(words, path)
            if attached:
                continue
        elif options.bind or mount.get("type") == "bind":
            root = mounts.copy(str(mount["source"]), recursive=options.bind == 2)
            mounts.adjust(root, options)
        else:
            root = mounts.new(str(mount["type"]), options.data, options.attributes, str(mount.get("source") or ""))
        libc.move_mount(root, target)
    if root < 0:
        raise Failed(INIT, 0, "no root filesystem was given")
    os.close(target)
    return root


def _mount_one(job: Job, mount: Mount, options: mounts.Options, copy: int) -> None:
    """One mount of the spec, at its destination inside the root."""
    destination = b"/" + b"/".join(paths.components(mount["destination"]))
    shown = destination.decode("utf-8", "backslashreplace")
    kind, source = str(mount.get("type") or "bind"), str(mount.get("source") or "")
    label = f'error mounting "{source}" to rootfs at "{shown}"'
    job.trying(f"{label}: create mount destination for {shown} mount")
    if destination == b"/":
        raise Failed(INIT, 0, f"{label}: the root cannot be mounted over")
    existed = True
    if kind in ("proc", "sysfs"):
        target = _ordinary_directory(job, destination, kind)
    else:
        is_file = copy >= 0 and not stat.S_ISDIR(os.fstat(copy).st_mode)
        make = paths.make_file_in_root if is_file else paths.make_dirs_in_root
        existed = kind != "tmpfs" or _exists(job, destination)
        target = make(job.root, destination)
        _refuse_procfs(destination, shown, kind, copy, target, label)
    job.trying(f"{label}: mount {source}:{shown}")
    if copy >= 0 and stat.S_ISDIR(os.fstat(copy).st_mode) != stat.S_ISDIR(os.fstat(target).st_mode):
        raise Failed(INIT, errno.ENOTDIR, job.doing)  # in mount(2)'s word: move_mount answers EINVAL
    made = copy if copy >= 0 else _new_mount(job, kind, source or kind, options, target if existed else -1)
    if copy >= 0:
        mounts.adjust(copy, options)
    if kind == "proc":
        job.proc = made
        job.trying("")
        _write_sysctls(job)
        job.trying(f"{label}: mount {source}:{shown}")
    libc.move_mount(made, target)
    if kind == "tmpfs" and destination == b"/dev":
        devices.populate(job, made)
    elif kind == "cgroup":
        _fill_cgroup(job, made, options)
    elif kind == "devpts":
        job.pts = made
    if options.propagation and copy < 0:
        libc.mount_setattr(made, propagation=options.propagation, recursive=options.propagation_recursive)
    if made not in (job.proc, job.dev, job.pts):
        os.close(made)
    os.close(target)


def _exists(job: Job, destination: bytes) -> bool:
    try:
        os.close(paths.open_in_root(job.root, destination, libc.O_PATH))
    except FileNotFoundError:
        return False
    return True


def _ordinary_directory(job: Job, destination: bytes, kind: str) -> int:
    """The target of proc or sysfs: no link on the way, no file, no other mount's trick (CVE-2019-19921)."""
    for _ in range(2):
        try:
            flags = libc.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
            return paths.open_in_root(job.root, destination, flags, resolve=libc.RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                shown = destination.decode("utf-8", "backslashreplace")
                raise Failed(INIT, 0, f'filesystem "{kind}" must be mounted on ordinary directory: {shown}') from None
            if error.errno != errno.ENOENT:
                raise
        os.close(paths.make_dirs_in_root(job.root, destination))
    raise Failed(INIT, errno.ENOENT, f"mount destination {destination!r}")


def _refuse_procfs(destination: bytes, shown: str, kind: str, copy: int, target: int, label: str) -> None:
    """Nothing but a few files of procfs may be covered (CVE-2019-16884, CVE-2023-27561); links are seen through."""
    reason = ""
    if destination == b"/proc":
        if copy < 0 or libc.filesystem_magic(copy) != paths.PROC_MAGIC:
            reason = "it is not of type proc"
    elif libc.filesystem_magic(target) == paths.PROC_MAGIC and not (copy >= 0 and shown in _PROC_ALLOWED):
        reason = "it is inside /proc"
    if reason:
        check = f"create mount destination for {shown} mount: check proc-safety of {shown} mount"
        raise Failed(INIT, 0, f'{label}: {check}: "{shown}" cannot be mounted because {reason}')


def _new_mount(job: Job, kind: str, source: str, options: mounts.Options, target: int) -> int:
    """`target`: the directory that it will cover, whose mode a tmpfs takes on; -1 when that was made just now."""
    data = options.data
    if kind == "cgroup":
        return _cgroup_mount(job, options)
    if kind == "proc":
        return _new_proc(job, options, source)
    if kind == "tmpfs" and target >= 0 and not any(key == "mode" for key, _ in data):
        data = (*data, ("mode", f"{stat.S_IMODE(os.fstat(target).st_mode):o}"))
    try:
        return mounts.new(kind, data, options.attributes, source)
    except PermissionError:
        if kind != "sysfs":
            raise
    # A user namespace that does not own the network namespace cannot mount sysfs: show the host's, read-only.
    copy = mounts.copy("/sys", recursive=True)
    libc.mount_setattr(copy, set=options.attributes | libc.MOUNT_ATTR_RDONLY, recursive=True)
    return copy


def _new_proc(job: Job, options: mounts.Options, source: str) -> int:
    """procfs of the container's pid namespace.

    The kernel takes the one that the calling process was born in. Where the namespace is joined that is still the host's:
    a child that is born inside makes the mount.
    """
    if not job.two_steps:
        return mounts.new("proc", options.data, options.attributes, source)
    return borrowed.made_by_child(lambda: mounts.new("proc", options.data, options.attributes, source))


def _cgroup_mount(job: Job, options: mounts.Options) -> int:
    """Version 2: a view of the container's own directory. Version 1: a tmpfs for the controllers' directories."""
    job.await_go()
    views = job.cgroup.views()
    if job.cgroup.version == 1:
        return mounts.new("tmpfs", [("mode", "755")], 0, "cgroup")
    copy = mounts.copy(views[0][1])
    libc.mount_setattr(copy, set=options.attributes)
    return copy


def _fill_cgroup(job: Job, made: int, options: mounts.Options) -> None:
    if job.cgroup.version == 1:
        for name, directory in job.cgroup.views():
            libc.mkdir_at(made, name, 0o755)
            view = mounts.copy(directory)
            libc.move_mount(view, made, name)
            os.close(view)
            for controller in name.split(",") if "," in name else ():
                libc.symlink_at(name, made, controller)
        libc.mount_setattr(made, set=options.attributes, recursive=True)


def _write_sysctls(job: Job) -> None:
    """Kernel settings of the container's own namespaces, through its procfs before anything covers it (CVE-2025-52881)."""
    for key, value in (job.linux.get("sysctl") or {}).items():
        path = "sys/" + key.replace(".", "/")
        job.trying(f"open /proc/{path}")
        beneath = libc.RESOLVE_BENEATH | libc.RESOLVE_NO_SYMLINKS | libc.RESOLVE_NO_XDEV
        fd = libc.openat2(job.proc, path, os.O_WRONLY, 0, beneath | libc.RESOLVE_NO_MAGICLINKS)
        job.trying(f"write sysctl key {key}: write /proc/{path}")
        os.write(fd, str(value).encode("utf-8", "surrogateescape"))
        os.close(fd)


def _make_cwd(job: Job) -> None:
    """The working directory exists when the process starts, as Docker's does; made by nobody but the rooted resolver."""
    cwd = str(job.process.get("cwd") or "/")
    if cwd == "/":
        return
    job.trying(f"mkdir {cwd}")
    try:
        os.close(paths.make_dirs_in_root(job.root, cwd))
    except NotADirectoryError:
        raise Failed("raw", 0, f"Cannot mkdir: {cwd} is not a directory") from None


def protect(job: Job) -> None:
    """Masked and read-only paths, then the read-only root."""
    linux = job.linux
    for path in linux.get("readonlyPaths") or ():
        job.trying(f"making {path} read-only")
        _set_read_only(job, path)
    _mask(job, linux.get("maskedPaths") or ())
    if (job.spec.get("root") or {}).get("readonly"):
        job.trying("making the root filesystem read-only")
        libc.mount_setattr(job.root, set=libc.MOUNT_ATTR_RDONLY)


def _open_existing(job: Job, path: str) -> int:
    """An O_PATH fd of `path` inside the root, -1 when there is none."""
    try:
        return paths.open_in_root(job.root, path, libc.O_PATH)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return -1
        raise


def _set_read_only(job: Job, path: str) -> None:
    target = _open_existing(job, path)
    if target < 0:
        return
    copy = mounts.copy("", recursive=True, dirfd=target)
    libc.mount_setattr(copy, set=libc.MOUNT_ATTR_RDONLY, recursive=True)
    libc.move_mount(copy, target)
    os.close(copy)
    os.close(target)


def _mask(job: Job, masked: Sequence[str]) -> None:
    """Cover paths with an empty file or directory of our own read-only tmpfs, never with what is in the container
    (CVE-2025-31133)."""
    targets: list[tuple[int, bool]] = []
    for path in masked:
        job.trying(f"masking {path}")
        target = _open_existing(job, path)
        if target >= 0:
            targets.append((target, stat.S_ISDIR(os.fstat(target).st_mode)))
    if not targets:
        return
    source = _mask_source()
    # It has a place in the tree that goes away with the old root: kernels before 6.15 copy attached mounts only, and
    # closing one that was never attached waits for a grace period.
    place = libc.open_at(libc.AT_FDCWD, "/proc", libc.O_PATH | os.O_DIRECTORY)
    libc.move_mount(source, place)
    os.close(place)
    for target, is_directory in targets:
        copy = mounts.copy("directory" if is_directory else "file", dirfd=source)
        libc.move_mount(copy, target)
        os.close(copy)
        os.close(target)
    os.close(source)


def _mask_source() -> int:
    attributes = libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NODEV | libc.MOUNT_ATTR_NOEXEC
    source = mounts.new("tmpfs", [("mode", "755"), ("nr_inodes", "8")], attributes, "tmpfs")
    libc.mkdir_at(source, "directory", 0o555)
    os.close(libc.open_at(source, "file", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444))
    libc.mount_setattr(source, set=libc.MOUNT_ATTR_RDONLY)
    return source


_ROOT_PROPAGATION = {"shared": libc.MS_SHARED, "slave": libc.MS_SLAVE, "unbindable": libc.MS_UNBINDABLE}


def enter(job: Job) -> None:
    """Make the tree the root and let go of the host's."""
    job.trying("pivot_root")
    old = libc.open_at(libc.AT_FDCWD, "/", libc.O_PATH | os.O_DIRECTORY)
    libc.fchdir(job.root)
    libc.pivot_root(".", ".")
    libc.fchdir(old)
    libc.umount2(".", libc.MNT_DETACH)
    os.close(old)
    libc.fchdir(job.root)
    word = str(job.linux.get("rootfsPropagation") or "").removeprefix("r")
    if word in _ROOT_PROPAGATION:
        libc.mount_setattr(job.root, propagation=_ROOT_PROPAGATION[word])

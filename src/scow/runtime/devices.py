"""The container's /dev: default nodes, links, the pty's console, and the devices of the spec."""

import errno
import os
import stat
import struct

from scow.linux import libc, mounts, paths
from scow.runtime import channel
from scow.runtime.job import Job

_DEFAULT = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
)
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_TIOCSWINSZ = 0x5414
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def populate(job: Job, dev: int) -> None:
    """Fill the fresh tmpfs that is /dev. By its own fd: what the image has at /dev plays no part (CVE-2026-41579)."""
    job.dev = dev
    for name, major, minor in _DEFAULT:
        job.trying(f"creating device /dev/{name}")
        _node(dev, name.encode(), stat.S_IFCHR | 0o666, os.makedev(major, minor), f"/dev/{name}")
    for target, name in _LINKS:
        libc.symlink_at(target, dev, name)
    for mount in job.spec.get("mounts") or ():  # mount points for what the spec has below /dev, in one step each
        name = str(mount["destination"]).removeprefix("/dev/")
        if name in ("pts", "shm", "mqueue"):
            libc.mkdir_at(dev, name, 0o755)


def _node(parent: int, name: bytes, mode: int, device: int, host: str) -> None:
    """A device node; in a user namespace, which may not make one, the host's node bound in its place."""
    try:
        libc.mknod_at(parent, name, mode, device)
    except FileExistsError:
        return
    except PermissionError:
        copy = mounts.copy(host)
        os.close(libc.openat2(parent, name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, libc.RESOLVE_BENEATH))
        libc.move_mount(copy, parent, name)
        os.close(copy)


def create(job: Job) -> None:
    """The devices of linux.devices, and the terminal when the process wants one."""
    for item in job.linux.get("devices") or ():
        path = str(item["path"])
        job.trying(f"creating device {path}")
        parent_path, name = paths.split_last(path)
        parent = paths.make_dirs_in_root(job.root, parent_path)
        kind = _KINDS.get(str(item.get("type")))
        if kind is None or name in (b".", b".."):
            raise libc.failure(errno.EINVAL, path)
        mode = kind | int(item.get("fileMode", 0o666) or 0) & 0o7777
        device = os.makedev(int(item.get("major") or 0), int(item.get("minor") or 0))
        _node(parent, name, mode, device, path)
        uid, gid = item.get("uid"), item.get("gid")
        if uid or gid:
            fd = libc.openat2(parent, name, libc.O_PATH | os.O_NOFOLLOW, 0, libc.RESOLVE_BENEATH)
            libc.chown_fd(fd, int(uid or 0), int(gid or 0))
            os.close(fd)
        os.close(parent)
    if job.stdio is None:
        open_terminal(job)
        _bind_console(job)


def open_terminal(job: Job) -> None:
    """A pty in the container's own devpts; the master goes to the monitor, the peer becomes `job.terminal`.

    Nothing is looked up by a path that the container could have replaced (CVE-2025-52565): the master is opened below
    the devpts mount's fd, the peer through the master.
    """
    job.trying("opening the terminal")
    if job.pts < 0:
        job.pts = paths.open_in_root(job.root, "/dev/pts", libc.O_PATH | os.O_DIRECTORY)
    if libc.filesystem_magic(job.pts) != paths.DEVPTS_MAGIC:
        raise libc.failure(errno.ENODEV, "/dev/pts is no devpts")
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW
    master = libc.openat2(job.pts, "ptmx", flags, 0, libc.RESOLVE_BENEATH | libc.RESOLVE_NO_XDEV)
    libc.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    height, width = job.console_size
    if height and width:
        libc.ioctl(master, _TIOCSWINSZ, struct.pack("HHHH", height & 0xFFFF, width & 0xFFFF, 0, 0))
    job.terminal = libc.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    channel.send_console(job.channel, master)
    os.close(master)


def _bind_console(job: Job) -> None:
    if job.dev < 0:  # /dev is somebody else's: leave it alone
        return
    job.trying("binding the terminal to /dev/console")
    os.close(libc.openat2(job.dev, "console", os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600, libc.RESOLVE_BENEATH))
    copy = mounts.copy("", dirfd=job.terminal)
    libc.move_mount(copy, job.dev, "console")
    os.close(copy)

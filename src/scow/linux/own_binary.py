"""The program that this process runs, put out of a container's reach.

A container can get at the binary that executed its first program: a script whose interpreter is /proc/self/exe, or the
link itself (CVE-2019-5736). When that binary was executed through a read-only mount of its own, which no mount table
shows, whoever opens it for writing by any such reference gets EROFS.
"""

import os
import sys

from scow.linux import libc

_ST_RDONLY = 1


def is_read_only() -> bool:
    """Whether this process's program lies on a read-only mount."""
    return bool(os.statvfs("/proc/self/exe").f_flag & _ST_RDONLY)


def run_read_only() -> None:
    """Execute this very program and command line again through a read-only mount; returns when that is done already.

    For the zygote, before it has anything to lose; its children inherit the mount. Where the kernel refuses the mount
    (no privilege), the program stays as it is.
    """
    if is_read_only():
        return
    try:
        copy = libc.open_tree(libc.AT_FDCWD, "/proc/self/exe", libc.OPEN_TREE_CLONE)
        libc.mount_setattr(copy, set=libc.MOUNT_ATTR_RDONLY | libc.MOUNT_ATTR_NOSUID)
    except OSError:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(f"/proc/self/fd/{copy}", sys.orig_argv)

"""The root of a container for an external runtime, which wants it mounted: in a mount namespace of the caller's own."""

import os
import re
from collections.abc import Sequence

from scow.linux import cgroup_files, libc
from scow.oci.runtime import Mount
from scow.runtime import rootfs as roots
from scow.runtime.failure import INIT, Failed, start_failure

_ESCAPE = re.compile(r"\\([0-7]{3})")


def mount(rootfs: Sequence[Mount], path: str) -> int:
    """Enter a new mount namespace and mount `rootfs` at `path` there; an fd of the root. Only processes that are made
    from here on see it, and it goes with the last of them. StartFailure when it cannot be mounted.

    Everything else stays as shared with the host as it was, so that mounts with propagation work, but for the one mount
    in which `path` lies: what is mounted there must not reach the host.
    """
    doing = "entering a mount namespace"

    def trying(what: str) -> None:
        nonlocal doing
        doing = what

    try:
        libc.unshare(libc.CLONE_NEWNS)
        _keep_from_host(path)
        return roots.mount_root(rootfs, path, trying)
    except OSError as error:
        raise start_failure(INIT, error.errno or 0, doing) from error
    except Failed as failed:
        raise start_failure(failed.stage, failed.number, failed.text) from failed


def _keep_from_host(path: str) -> None:
    fd = libc.open_at(libc.AT_FDCWD, path, libc.O_PATH | os.O_DIRECTORY)
    try:
        facts = cgroup_files.read("/proc/self/fdinfo", str(fd))
    finally:
        os.close(fd)
    number = next((line.split()[1] for line in facts.split("\n") if line.startswith("mnt_id:")), "")
    for line in cgroup_files.read("/proc/self", "mountinfo").split("\n"):
        fields = line.partition(" - ")[0].split(" ")
        if fields[0] == number and any(field.startswith("shared:") for field in fields[6:]):
            place = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4])
            libc.mount("", place, "", libc.MS_SLAVE)

"""The root of a container for an external runtime, which wants it mounted: in a mount namespace of the caller's own."""

import os
import re
import stat
from collections.abc import Sequence

from scow.linux import cgroup_files, libc, mounts
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


def bring(sources: Sequence[str], place: str) -> list[str]:
    """Paths for bind mounts' sources that lie in other mount namespaces, from where mount(2) takes nothing: a copy of each
    is attached in this one, below the directory `place`, whose mount must be the one of the root's path.
    """
    found: list[str] = []
    if not sources:
        return found
    directory = libc.open_at(libc.AT_FDCWD, place, libc.O_PATH | os.O_DIRECTORY)  # in this namespace
    for number, source in enumerate(sources):
        name = f"source-{number}"
        try:
            copy = mounts.copy_source(source, recursive=True)
            if stat.S_ISDIR(os.fstat(copy).st_mode):
                os.mkdir(name, 0o700, dir_fd=directory)
            else:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=directory))
            libc.move_mount(copy, directory, name)
            os.close(copy)
        except OSError as error:
            raise start_failure(INIT, error.errno or 0, f"bind source {source}") from error
        found.append(f"{place}/{name}")
    os.close(directory)
    return found


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

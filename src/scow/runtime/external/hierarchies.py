"""Control groups as an external runtime is to see them."""

from scow.linux import cgroup, cgroup_files, cgroup_v1, libc


def unified_to_hide() -> str:
    """Where the unified hierarchy of a machine with version 1 has controllers: its mount point, else "".

    There crun refuses to start anything. The container's limits are in version 1 in any case.
    """
    if cgroup.is_v2():
        return ""
    for place, names in cgroup_v1.hierarchies().items():
        if names == ("",) and cgroup_files.read(place, "cgroup.controllers"):
            return place
    return ""


def hide(place: str) -> None:
    """Take the mount at `place` away for this process and what it starts, in a mount namespace of its own."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("", cgroup_files.ROOT, "", libc.MS_PRIVATE)
    libc.umount2(place, libc.MNT_DETACH)

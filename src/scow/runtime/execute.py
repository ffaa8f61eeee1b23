"""Starting one more process in a running container."""

import os

from scow.errors import NotFound
from scow.linux import libc
from scow.linux.cgroup import Cgroup
from scow.oci.runtime import Process, Spec
from scow.runtime import child
from scow.runtime.contract import Launched
from scow.runtime.launch import give_streams, make_job, start

_KINDS = {
    libc.CLONE_NEWUSER: "user",
    libc.CLONE_NEWNS: "mnt",
    libc.CLONE_NEWPID: "pid",
    libc.CLONE_NEWNET: "net",
    libc.CLONE_NEWUTS: "uts",
    libc.CLONE_NEWIPC: "ipc",
    libc.CLONE_NEWCGROUP: "cgroup",
}


def execute(
    init_pid: int,
    spec: Spec,
    process: Process,
    *,
    cgroup: Cgroup,
    stdio: tuple[int, int, int] | None,
    console_size: tuple[int, int] = (0, 0),
) -> Launched:
    """Start `process` in the container whose init is `init_pid`; as `launch` otherwise. The result is a child of ours.

    The process is lowered to its user and capabilities before it becomes visible in the container's pid namespace.
    """
    try:
        pidfd = libc.pidfd_open(init_pid)
        flags = _foreign(init_pid)
    except OSError as error:
        raise NotFound(f"container process {init_pid} is not running") from error
    job, ours = make_job(spec, process, cgroup.beside(init_pid), stdio, console_size)
    try:
        if flags & libc.CLONE_NEWUSER:
            give_streams(job)
        job.two_steps = bool(flags & libc.CLONE_NEWPID)
        job.extra = (pidfd,)

        def join() -> None:
            if flags:
                libc.setns(pidfd, flags)
            if flags & libc.CLONE_NEWUSER:
                libc.become_mapped_root()

        return start(job, ours, 0, lambda job: child.start_exec(job, join), execute=True)
    finally:
        os.close(pidfd)
        os.close(ours)


def _foreign(pid: int) -> int:
    """Flags of the namespaces in which `pid` is and we are not."""
    flags = 0
    for flag, name in _KINDS.items():
        here, there = os.stat(f"/proc/self/ns/{name}"), os.stat(f"/proc/{pid}/ns/{name}")
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            flags |= flag
    return flags

"""Starting a container's init: one clone with all its namespaces, and the wait for its execve."""

import os
import signal
import stat
import time
from collections.abc import Callable, Sequence

from scow.errors import Internal, InvalidArgument
from scow.linux import capabilities, cgroup_v1, libc, userns
from scow.linux.cgroup import Cgroup, is_v2
from scow.oci.runtime import Mount, Process, Spec
from scow.runtime import channel, child, seccomp
from scow.runtime.contract import Launched
from scow.runtime.failure import INIT, start_failure
from scow.runtime.job import Job, namespaces, refuse_host_sysctls, refuse_unsupported
from scow.runtime.rootfs import open_ahead


def warm() -> None:
    """Learn once what every start needs. For the zygote, so that its children do not."""
    capabilities.granted()
    if not is_v2():
        cgroup_v1.hierarchies()


def launch(
    spec: Spec,
    rootfs: Sequence[Mount],
    *,
    cgroup: Cgroup,
    netns: int | None,
    stdio: tuple[int, int, int] | None,
    console_size: tuple[int, int] = (0, 0),
) -> Launched:
    """Start the init of `spec`. Returns when its execve has succeeded; init is a child of the calling process.

    The caller has one thread. stdio None makes a pty, console_size is (height, width). netns replaces the spec's
    network namespace. A cgroup that was created deferred is completed here. The spec may carry these annotations:
    org.scow.rlimits.explicit (see job.EXPLICIT), org.scow.seccomp.bpf (see seccomp.PROGRAM).
    Raises StartFailure, InvalidArgument or Unsupported with nothing left running; the cgroup stays for the caller.
    """
    wanted = namespaces(spec)
    process = spec.get("process")
    root_path = (spec.get("root") or {}).get("path")
    if not process or not root_path:
        raise InvalidArgument("a spec needs a process and a root path")
    refuse_host_sysctls(spec, wanted, netns)
    flags = wanted.new & ~libc.CLONE_NEWCGROUP
    if netns is not None:
        flags &= ~libc.CLONE_NEWNET
    job, ours = make_job(spec, process, cgroup, stdio, console_size)
    try:
        job.root_path, job.rootfs, job.netns = str(root_path), rootfs, netns
        job.two_steps = any(flag == libc.CLONE_NEWPID for flag, _ in wanted.joined)

        if flags & libc.CLONE_NEWUSER:
            _before_userns(job)

        def after(pid: int) -> None:
            cgroup.complete()
            if flags & libc.CLONE_NEWUSER:
                userns.write_maps(pid, job.linux)
            channel.send_go(ours)

        return start(job, ours, flags, lambda job: child.start_init(job, wanted), after)
    finally:
        for fd in {job.root, *(job.copies or ())} - {-1}:
            os.close(fd)
        os.close(ours)


def _before_userns(job: Job) -> None:
    """Have what the child may not get any more once it is in its user namespace, and give it its streams."""
    if any(mount.get("uidMappings") for mount in job.rootfs):
        try:
            open_ahead(job, job.linux)
        except OSError as error:
            raise start_failure(job.stage, error.errno or 0, job.doing) from error
    give_streams(job)


def give_streams(job: Job) -> None:
    """Streams belong to the mapped root, who may then give them to the container's user; nobody inside could else."""
    uid, gid = (userns.host_id(job.linux.get(key) or (), 0) for key in ("uidMappings", "gidMappings"))
    for fd in set(job.stdio or ()):
        if stat.S_IFMT(os.fstat(fd).st_mode) in (stat.S_IFIFO, stat.S_IFSOCK):
            os.fchown(fd, uid, gid)


def make_job(
    spec: Spec,
    process: Process,
    cgroup: Cgroup,
    stdio: tuple[int, int, int] | None,
    console_size: tuple[int, int],
) -> tuple[Job, int]:
    """What the child needs, with everything that can be had before the clone; and our end of its channel."""
    refuse_unsupported(spec, process)
    capabilities.granted()
    program, flags = seccomp.program_of(spec)
    ours, theirs = libc.socket_pair()
    if theirs < 3:
        raise Internal("fds 0, 1 and 2 of the monitor must be open")
    return Job(spec, process, cgroup, stdio, console_size, theirs, program, flags), ours


def start(
    job: Job,
    ours: int,
    flags: int,
    steps: Callable[[Job], None],
    after: Callable[[int], None] = lambda pid: None,
    *,
    execute: bool = False,
) -> Launched:
    """Clone a child that runs `steps`, and see it through to its execve. `after(pid)` runs in the parent meanwhile."""
    before = libc.block_signals()
    pid, pidfd = -1, -1
    try:
        pid, pidfd = _clone(job, flags)
        if pid == 0:
            child.run(job, steps)
    finally:
        libc.restore_signals(before)
        os.close(job.channel)
    outcome = channel.Outcome()
    try:
        after(pid)
        outcome = channel.collect(ours, job.stdio is None)
    except BaseException:
        _destroy(pid, outcome)
        os.close(pidfd)
        raise
    if outcome.failure is None and outcome.started:
        return _started(job, pid, pidfd, outcome)
    status = _destroy(pid, outcome)
    os.close(pidfd)
    if outcome.failure is None:
        outcome.failure = (INIT, 0, _died(job, status))
    raise start_failure(*outcome.failure, execute=execute)


def _clone(job: Job, flags: int) -> tuple[int, int]:
    """Clone, into the cgroup where the kernel can do it (it saves a move with a global lock)."""
    directory = job.cgroup.directory()
    if directory < 0:
        return libc.clone(flags)
    job.born_in_cgroup = True
    try:
        return libc.clone(flags, cgroup=directory)
    except OSError:
        job.born_in_cgroup = False
        return libc.clone(flags)
    finally:
        os.close(directory)


def _started(job: Job, pid: int, pidfd: int, outcome: channel.Outcome) -> Launched:
    started_at = time.time_ns()
    if outcome.pid:  # the first process has ended: the one that executes is its brother
        os.close(pidfd)
        _reap(pid)
        pid, pidfd = outcome.pid, libc.pidfd_open(outcome.pid)
    return Launched(pid, pidfd, outcome.console, started_at)


def _reap(pid: int, flags: int = 0) -> int:
    try:
        return os.waitpid(pid, flags)[1]
    except ChildProcessError:
        return 0


def _destroy(pid: int, outcome: channel.Outcome) -> int:
    """Kill and reap what was started; the wait status of the process that should have executed."""
    if outcome.console is not None:
        os.close(outcome.console)
    status = 0
    for each in (pid, outcome.pid):
        if each > 0:
            if outcome.failure is not None or not outcome.started:
                _kill_unless_dead(each)
            status = _reap(each, os.WNOHANG if outcome.stuck else 0) or status
    return status


def _kill_unless_dead(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _died(job: Job, status: int) -> str:
    """Why a child ended without a word: most often its own memory limit."""
    if job.cgroup.oom_kills():
        return "container init was OOM-killed (memory limit too low?)"
    if os.WIFSIGNALED(status):
        return f"container init was killed by signal {os.WTERMSIG(status)}"
    return f"container init ended with status {os.waitstatus_to_exitcode(status)}"

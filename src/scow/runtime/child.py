"""The child's way from its first instruction to execve. Nothing here returns to the caller: it executes or exits.

Order matters and is told where it does. Errors go over the channel as plain words; no traceback is ever formatted.
"""

import errno
import gc
import os
from collections.abc import Callable

from scow.errors import ScowError
from scow.linux import capabilities, libc, loopback, users
from scow.linux.capabilities import CapabilitySets
from scow.runtime import channel, devices, guard, identity, limits, lookup, rootfs
from scow.runtime.failure import INIT, PROCESS, RAW, Failed
from scow.runtime.job import Job, Namespaces

_TIOCSCTTY = 0x540E
_SIGKILL = 9
_EXEC_ERRORS = {number: text[:1].lower() + text[1:] for number, text in libc.ERROR_TEXT.items()}
_IGNORED_KEYRING = (errno.EPERM, errno.ENOSYS)
FAILED_EXIT = 98


def run(job: Job, steps: Callable[[Job], None]) -> None:
    """Run `steps` to the end of this process, whatever happens."""
    fd = job.channel
    try:
        gc.disable()
        prepare(job)
        steps(job)
    except Failed as failed:
        channel.send_failure(fd, failed.stage, failed.number, failed.text)
    except ScowError as error:
        channel.send_failure(fd, RAW, 0, error.message)
    except OSError as error:
        channel.send_failure(fd, job.stage, error.errno or errno.EIO, _context(job, error))
    except BaseException as error:  # noqa: BLE001 - the process ends here, and only its last words are left
        channel.send_failure(fd, INIT, 0, f"{job.doing}: {type(error).__name__}: {error}")
    finally:
        os._exit(FAILED_EXIT)


def _context(job: Job, error: OSError) -> str:
    """What was being done, and with what option when the kernel named one."""
    detail = error.filename if isinstance(error.filename, str) and " option " in error.filename else ""
    return f"{job.doing}: {detail}" if detail else job.doing


def prepare(job: Job) -> None:
    """First steps of every child: hidden from ptrace, tied to the monitor's life, no fd that survives execve."""
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    libc.prctl(libc.PR_SET_PDEATHSIG, _SIGKILL)
    libc.default_signals()
    _keep_only(job)
    os.umask(0)
    fd = job.channel
    guard.install(lambda event: channel.send_failure(fd, INIT, 0, f"stopped by the guard: {event}"))


def _keep_only(job: Job) -> None:
    """Close every inherited fd but the ones of this start."""
    wanted = {job.channel, job.terminal, job.root, job.proc, job.netns if job.netns is not None else -1}
    wanted.update(job.stdio or (0, 1, 2))
    wanted.update(job.extra)
    wanted.update(job.copies or ())
    wanted.discard(-1)
    before = -1
    for fd in (*sorted(wanted), 0x7FFFFFFF):
        libc.close_range(before + 1, fd - 1)
        before = fd
    libc.close_range(0, 0x7FFFFFFF, libc.CLOSE_RANGE_CLOEXEC)


def start_init(job: Job, namespaces: Namespaces) -> None:
    """A container's first process: namespaces, tree, root, then `finish`."""
    limits.set_oom_score(job)
    if namespaces.new & libc.CLONE_NEWUSER:
        job.await_go()
        _join_cgroup(job)  # the mapped root may not write the host's cgroup files any more
        libc.become_mapped_root()
    _join_namespaces(job, namespaces)
    if namespaces.new & libc.CLONE_NEWNET and job.netns is None:
        job.trying("bringing up the loopback interface")
        loopback.set_up()
    _name_host(job, namespaces)
    rootfs.build(job)
    if not namespaces.new & libc.CLONE_NEWUSER:  # late: what the steps before cost is not charged to the container
        job.await_go()
        _join_cgroup(job)
    if namespaces.new & libc.CLONE_NEWCGROUP:  # only now: the namespace's root is the cgroup that the process is in
        job.trying("unsharing the cgroup namespace")
        libc.unshare(libc.CLONE_NEWCGROUP)
    rootfs.protect(job)
    rootfs.enter(job)
    finish(job)


_JOIN_ORDER = (  # the pid namespace takes effect for the next child only, see _hand_over
    libc.CLONE_NEWUSER,
    libc.CLONE_NEWNET,
    libc.CLONE_NEWIPC,
    libc.CLONE_NEWUTS,
    libc.CLONE_NEWCGROUP,
    libc.CLONE_NEWPID,
)


def _join_namespaces(job: Job, namespaces: Namespaces) -> None:
    """Namespaces of others, by fd. The network's comes as an fd of the engine, or by path."""
    paths = dict(namespaces.joined)
    for flag in _JOIN_ORDER:
        path = paths.get(flag)
        if flag == libc.CLONE_NEWNET and job.netns is not None:
            if job.netns >= 0:
                job.trying("joining the network namespace")
                libc.setns(job.netns, flag)
                os.close(job.netns)
        elif path:
            job.trying(f"joining namespace {path}")
            fd = libc.open_at(libc.AT_FDCWD, path, os.O_RDONLY)
            libc.setns(fd, flag)
            os.close(fd)


def _name_host(job: Job, namespaces: Namespaces) -> None:
    if not namespaces.new & libc.CLONE_NEWUTS:
        return
    for key, call in (("hostname", libc.sethostname), ("domainname", libc.setdomainname)):
        value = job.spec.get(key)
        if value:
            job.trying(f"setting the {key} to {value}")
            call(str(value))


def _join_cgroup(job: Job) -> None:
    job.trying("joining the cgroup")
    job.cgroup.join(job.born_in_cgroup)


def start_exec(job: Job, join: Callable[[], None]) -> None:
    """One more process in a running container: join it, then `finish`."""
    limits.set_oom_score(job)
    _join_cgroup(job)
    job.trying("joining the container's namespaces")
    join()
    job.root = libc.open_at(libc.AT_FDCWD, "/", libc.O_PATH | os.O_DIRECTORY)
    if job.stdio is None:
        devices.open_terminal(job)
    finish(job)


def finish(job: Job) -> None:
    """Inside the container: who, where, with what; then execute."""
    who = identity.resolve(job)
    environment = lookup.environment(job.process.get("env") or ())
    if not environment.get(b"HOME"):
        environment[b"HOME"] = who.home.encode("utf-8", "surrogateescape")
    arguments = [word.encode("utf-8", "surrogateescape") for word in job.process.get("args") or ()]
    if not arguments or any(b"\0" in word for word in arguments):
        raise Failed(RAW, 0, "no command specified" if not arguments else "an argument holds a NUL byte")
    sets = identity.sets_of(job)
    _join_keyring(job)
    _change_directory(job, first=True)
    identity.give_streams(job, who.uid)
    limits.set_limits(job)
    job.extra = ()
    job.proc = job.netns = -1
    _keep_only(job)
    no_new_privileges = bool(job.process.get("noNewPrivileges"))
    need = capabilities.SYS_ADMIN if job.program and not no_new_privileges else 0
    identity.become(job, who, sets, need & ~sets.effective)
    _change_directory(job, first=False)
    os.close(job.root)
    job.root = -1
    if job.two_steps:
        _hand_over(job)
    _execute(job, arguments, environment, sets, who)


def _hand_over(job: Job) -> None:
    """The executing process is born in the container's pid namespace only now, with everything else already lowered.

    It is a child of the monitor (CLONE_PARENT); this one ends. So no process of the container ever sees one of ours
    with engine fds or memory in use (CVE-2016-9962).
    """
    job.trying("starting the process in the pid namespace")
    pid, pidfd = libc.clone(libc.CLONE_PARENT)
    if pid:
        os.write(job.channel, b"P%d" % pid)
        os._exit(0)
    libc.prctl(libc.PR_SET_PDEATHSIG, _SIGKILL)


def _join_keyring(job: Job) -> None:
    """A session keyring of the container's own; where the kernel has no keys, or forbids it, there is nothing to share."""
    job.trying("joining a session keyring")
    try:
        libc.join_session_keyring("_ses.scow")
    except OSError as error:
        if error.errno not in _IGNORED_KEYRING:
            raise


def _change_directory(job: Job, *, first: bool) -> None:
    """Enter the working directory through the root fd, first as the engine, again as the user when that was not allowed.

    Magic links are refused and the kernel's own name of the place must lie inside the root (CVE-2024-21626).
    """
    if job.chdir_done:
        return
    cwd = str(job.process.get("cwd") or "/")
    job.trying(f'chdir to cwd ("{cwd}") set in config.json failed', PROCESS)
    if not cwd.startswith("/"):
        raise Failed(RAW, 0, f"the working directory '{cwd}' is invalid, it needs to be an absolute path")
    try:
        fd = libc.openat2(
            job.root, cwd, libc.O_PATH | os.O_DIRECTORY, 0, libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS
        )
        libc.fchdir(fd)
        os.close(fd)
    except PermissionError:
        if first:
            return
        raise
    if libc.current_directory()[:1] != b"/":
        raise Failed(PROCESS, 0, "current working directory is outside of container mount namespace root")
    job.chdir_done = True


def _execute(
    job: Job, arguments: list[bytes], environment: dict[bytes, bytes], sets: CapabilitySets, who: users.Identity
) -> None:
    fd = job.channel
    job.trying("starting a session")
    os.setsid()
    streams = job.stdio or (job.terminal,) * 3
    if job.stdio is None:
        libc.ioctl(job.terminal, _TIOCSCTTY, 0)
    place_streams(streams)
    path = lookup.find_executable(arguments[0], environment.get(b"PATH"))
    os.umask(int((job.process.get("user") or {}).get("umask", 0o022)))
    libc.restore_signals()
    libc.prctl(libc.PR_SET_PDEATHSIG, 0)
    if job.process.get("noNewPrivileges"):
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    os.write(fd, b"X")
    if job.program:
        job.trying("installing the seccomp filter")
        libc.seccomp_filter(job.program, job.seccomp_flags)
        if not job.process.get("noNewPrivileges"):
            libc.capset(sets.effective, sets.permitted, sets.inheritable)
    try:
        os.execve(path, arguments, environment)
    except OSError as error:  # Docker: the container has started, says this and ends with 1
        text = _EXEC_ERRORS.get(error.errno or 0, "error").encode()
        os.write(2, b"exec " + path + b": " + text + b"\n")
        os._exit(1)


def place_streams(streams: tuple[int, ...]) -> None:
    """Make the given fds 0, 1 and 2, also when they overlap with these numbers."""
    high = [os.dup(fd) if fd < 3 else fd for fd in streams]
    while any(fd < 3 for fd in high):
        high = [os.dup(fd) if fd < 3 else fd for fd in high]
    for number, fd in enumerate(high):
        os.dup2(fd, number, inheritable=True)

"""Running an external runtime's program: no shell, a clean environment, nothing inherited but the standard streams."""

import os
import select
import signal
from collections.abc import Sequence

from scow.linux import libc
from scow.runtime.child import place_streams
from scow.runtime.external import hierarchies

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_NOT_EXECUTED = 127


def run(arguments: Sequence[str], *, stdio: tuple[int, int, int] | None = None, patience: float) -> int | None:
    """The program's exit code (128+n for signal n), None when it was killed after `patience` seconds.

    arguments[0] is the path. Without `stdio` its streams are the caller's own, which are /dev/null in a monitor. It dies
    with the caller. OSError when it cannot be executed. The caller has one thread.
    """
    hidden = hierarchies.unified_to_hide()
    told, tell = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        _execute(arguments, stdio or (0, 1, 2), hidden, tell)
    os.close(tell)
    code = _await(pid, patience)
    number = os.read(told, 8)
    os.close(told)
    if number:
        raise OSError(int(number), os.strerror(int(number)), arguments[0])
    return code


def _execute(arguments: Sequence[str], stdio: tuple[int, int, int], hidden: str, tell: int) -> None:
    """The child: never returns."""
    try:
        libc.prctl(libc.PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if hidden:
            hierarchies.hide(hidden)
        place_streams(stdio)
        tell = os.dup2(tell, 3, inheritable=False) if tell != 3 else tell
        libc.close_range(4)
        os.umask(0o022)
        libc.default_signals()
        libc.restore_signals()
        os.execve(arguments[0], list(arguments), ENVIRONMENT)
    except OSError as error:
        os.write(tell, b"%d" % (error.errno or 5))
    finally:
        os._exit(_NOT_EXECUTED)


def _await(pid: int, patience: float) -> int | None:
    pidfd = libc.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        ended = bool(poll.poll(patience * 1000))
        if not ended:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if not ended else code if code >= 0 else 128 - code

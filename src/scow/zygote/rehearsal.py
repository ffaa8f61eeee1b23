"""The zygote plays the life of a monitor a few times before it forks the first one.

Python writes to the memory of code that runs for the first times (counters, specialised instructions, caches of names
and types). After the rehearsal those writes have been made in the zygote, and every monitor goes on sharing its pages:
an idle monitor needs about half a megabyte less of its own.
"""

import os
import signal
import socket
import time

from scow.errors import ScowError
from scow.linux import libc, mounts
from scow.monitor import bundle, main, wire
from scow.monitor.starter import Started, Work
from scow.monitor.starting import receive_init

_TIMES = 12  # the interpreter specialises code after 8 runs
_ENOUGH = 0.8  # s; all of it takes 0.2 s, but where a fork is dear, a start does not wait for the sake of memory
_PATIENCE = 5
_FLAGS = {"stdout": True, "stderr": True, "framed": True, "early": "", "keys": ""}


def rehearse() -> None:
    """Play. A failure only costs memory later."""
    before = _open_fds()
    end = time.monotonic() + _ENOUGH
    try:
        scratch = f"/proc/self/fd/{mounts.new('tmpfs', [('mode', '0700')])}"  # nameless: nothing is left
        for _ in range(_TIMES):
            _play(scratch)
            for name in os.listdir(scratch):
                os.unlink(f"{scratch}/{name}")
            if time.monotonic() > end:
                break
    except (OSError, ScowError):
        pass
    finally:
        # A monitor leaves its descriptors to the end of its process.
        wire.close_all(list(_open_fds() - before))
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 0)


def _open_fds() -> set[int]:
    return {int(fd) for fd in os.listdir("/proc/self/fd") if _is_open(int(fd))}  # the listing's own is closed by now


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _play(scratch: str) -> None:
    """One container: a daemon asks for its start, says hello and sends a client, whose stdin ends it."""
    _make(scratch)
    daemon, monitor = wire.pair()
    player = os.fork()
    if not player:
        _play_daemon(daemon, scratch)
    daemon.close()
    try:
        main.serve(socket.SocketType(fileno=monitor.detach()), main.prepared(_Steps()))
    finally:
        try:
            os.waitpid(player, 0)
        except ChildProcessError:
            pass


def _play_daemon(daemon: wire.Peer, path: str) -> None:
    """The other side, in a process of its own. Never returns."""
    try:
        signal.alarm(_PATIENCE)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        first, first_end = socket.socketpair()
        second, second_end = socket.socketpair()
        start = {"op": "start", "id": 1, "fds": 3, "netns": False, "attachments": [{**_FLAGS, "stdin": False}]}
        _ask(daemon, start, (directory, lock, first_end.fileno()))
        _ask(daemon, {"op": "hello", "id": 2})
        _ask(daemon, {"op": "nothing of the kind", "id": 3})
        _ask(daemon, {"op": "signal", "number": 0, "id": 4})
        _ask(daemon, {"op": "attach", "id": 5, "attachment": {**_FLAGS, "stdin": True}}, (second_end.fileno(),))
        for each in (first_end, second_end):
            each.close()
        second.sendall(b"end\n")
        second.shutdown(socket.SHUT_WR)
        while second.recv(4096) or first.recv(4096):
            pass
        wire.receive(daemon, wait=True)  # the exit
    finally:
        os._exit(0)


def _ask(daemon: wire.Peer, message: wire.Message, fds: tuple[int, ...] = ()) -> None:
    wire.send(daemon, message, fds)
    wire.receive(daemon, wait=True)


def _make(path: str) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    task = bundle.Bundle(
        id="rehearsal",
        rootfs=[],
        log_driver="json-file",
        log_path=f"{path}/log",
        log_options={},
        log_attributes={},
        exit_path=f"{path}/exit",
        cgroup="/scow-rehearsal",
        terminal=False,
        open_stdin=True,
        stdin_once=True,
        console_size=(0, 0),
    )
    text = wire.encode({**bundle.fields(task), "console_size": [0, 0]})
    bundle.write(directory, bundle.TASK, text)
    os.close(directory)


class _Steps:
    """A process that writes what it reads."""

    def init(self) -> Work:
        def work(peer: wire.Peer) -> Started:
            receive_init(peer)
            _, (stdin, stdout, stderr) = wire.receive(peer, wait=True)
            pid = os.fork()
            if not pid:
                _act(stdin, stdout, stderr)
            return Started(pid, 1, os.pidfd_open(pid), -1)

        return work

    def execute(self, directory: int, task: bundle.Bundle, init: int) -> Work:
        raise NotImplementedError

    def release(self, directory: int, task: bundle.Bundle) -> None:
        """Nothing is kept."""


def _act(stdin: int, stdout: int, stderr: int) -> None:
    try:
        signal.alarm(_PATIENCE)  # whatever goes wrong, the zygote does not wait for ever
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for target, fd in enumerate((stdin, stdout, stderr)):
            os.dup2(fd, target)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.write(2, b"begin\n")
        while data := os.read(0, 4096):
            os.write(1, data)
    finally:
        os._exit(0)

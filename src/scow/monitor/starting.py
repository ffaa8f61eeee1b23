"""What a starter does: the container's init, or an exec, through the runtime."""

import signal
from typing import Protocol

from scow.linux import libc
from scow.monitor import bundle, wire
from scow.monitor.starter import Started, Work
from scow.oci.runtime import Process
from scow.runtime.contract import Launched, Runtime
from scow.runtime.external.container import External
from scow.runtime.native import Native


class Steps(Protocol):
    """How processes come to be. `init` and `execute` are called in the monitor; what they return runs in a starter."""

    def init(self) -> Work:
        """Run a container's init. The peer sends `init` with the task's directory and perhaps a network namespace,
        then `go` with the descriptors 0, 1, 2 (none for a terminal).
        """

    def execute(self, directory: int, task: bundle.Bundle, init: int) -> Work:
        """Run one more process in the container whose init has the pid `init`. The peer sends `exec` with the process
        and the console's size, and the descriptors 0, 1, 2 (none for a terminal).
        """

    def release(self, directory: int, task: bundle.Bundle) -> None:
        """The container's init has ended: let go of what is kept of it, but for its cgroup. Raises ScowError."""


class RuntimeSteps:
    """By the runtime that the task asks for: scow's own or an external one."""

    def init(self) -> Work:
        def work(peer: wire.Peer) -> Started:
            directory, netns = receive_init(peer)
            task = bundle.read(directory)
            runtime = _runtime(directory, task)
            try:
                runtime.prepare(bundle.read_spec(directory), task.rootfs, netns)
                _, fds = wire.receive(peer, wait=True)
                launched = runtime.launch((fds[0], fds[1], fds[2]) if fds else None, task.console_size)
                _write_started(directory, launched)
                return _started(launched)
            except BaseException:
                runtime.abandon()
                raise

        return work

    def execute(self, directory: int, task: bundle.Bundle, init: int) -> Work:
        def work(peer: wire.Peer) -> Started:
            _let_go(peer.fileno(), directory)
            spec = bundle.read_spec(directory)
            runtime = _runtime(directory, task)
            message, fds = wire.receive(peer, wait=True)
            process: Process = message["process"]
            height, width = message["size"]
            stdio = (fds[0], fds[1], fds[2]) if fds else None
            return _started(runtime.execute(init, spec, process, stdio, (height, width)))

        return work

    def release(self, directory: int, task: bundle.Bundle) -> None:
        _runtime(directory, task).release()


def _runtime(directory: int, task: bundle.Bundle) -> Runtime:
    if task.runtime:
        return External(task.runtime, task.id, task.cgroup, directory)
    return Native(task.cgroup)


def _let_go(*keep: int) -> None:
    """Close the monitor's descriptors: a starter that waits must not hold open what the monitor closes, such as
    another exec's input.
    """
    signal.set_wakeup_fd(-1)
    first = 3
    for fd in sorted(keep):
        libc.close_range(first, fd - 1)
        first = fd + 1
    libc.close_range(first)


def receive_init(peer: wire.Peer) -> tuple[int, int | None]:
    """(task directory, network namespace) of the message `init`."""
    _, fds = wire.receive(peer, wait=True)
    return fds[0], fds[1] if len(fds) > 1 else None


def _started(launched: Launched) -> Started:
    console = -1 if launched.console is None else launched.console
    return Started(launched.pid, launched.started_at, launched.pidfd, console)


def _write_started(directory: int, launched: Launched) -> None:
    text = b'{"pid":%d,"started_at":%d}\n' % (launched.pid, launched.started_at)
    try:
        bundle.write(directory, bundle.STARTED, text)
    except OSError:
        pass  # a daemon that finds the monitor dead then takes the task for one that never ran, and buries it as well

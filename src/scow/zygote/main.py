"""The zygote: imports the process side once, then provides a monitor for every request.

Requests are `{"op": "fork", "id": n}` with one fd, the monitor's end of its control connection; the answer is
`{"id": n, "result": {"pid": p}}` or an error. Ends of monitors are told as `{"died": p, "status": s}`. The zygote ends when
its daemon does; the monitors stay.
"""

import gc
import os
import select
import signal
import socket
from types import FrameType

from scow.errors import InvalidArgument
from scow.monitor import wire
from scow.zygote import preload
from scow.zygote.monitors import Monitors
from scow.zygote.placement import fill_holes
from scow.zygote.rehearsal import rehearse

_QUIET = 30  # ms without a request, after which spare monitors are made: not while a container is being started


def main(fd: int) -> None:
    """Serve the daemon at the other end of `fd`; returns when it has gone."""
    daemon = socket.socket(fileno=fd)
    os.set_inheritable(fd, False)
    with open("/proc/self/comm", "wb", buffering=0) as name:
        name.write(b"scow-zygote")
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _ignore)
    preload.load()
    rehearse()
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    # What exists now is never collected or written to by the collector, so the monitors go on sharing its pages.
    gc.collect()
    fill_holes()
    gc.freeze()
    monitors = Monitors((fd, wake_read, wake_write))
    poll = select.poll()
    poll.register(daemon, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while True:
        ready = dict(poll.poll(_QUIET if monitors.missing else None))
        if not ready:
            monitors.prepare_one()
        if wake_read in ready:
            os.read(wake_read, 4096)
            _reap(daemon, monitors)
        if fd in ready:
            try:
                message, fds = wire.receive(daemon)
            except (BlockingIOError, InvalidArgument):
                continue
            except (wire.Closed, OSError):
                return
            _serve(daemon, message, fds, monitors)


def _serve(daemon: socket.socket, message: wire.Message, fds: list[int], monitors: Monitors) -> None:
    reply: wire.Message = {"id": message.get("id")}
    try:
        if message.get("op") != "fork" or len(fds) != 1:
            raise InvalidArgument(f"unknown request {message.get('op')!r}")
        reply["result"] = {"pid": monitors.provide(fds[0])}
    except (OSError, InvalidArgument) as error:
        reply["error"] = {"code": "resource_exhausted", "message": f"cannot start a monitor: {error}"}
    finally:
        wire.close_all(fds)
    _tell(daemon, reply)


def _reap(daemon: socket.socket, monitors: Monitors) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        monitors.died(pid)
        _tell(daemon, {"died": pid, "status": status})


def _tell(daemon: socket.socket, message: wire.Message) -> None:
    try:
        wire.send(daemon, message)
    except OSError:
        pass  # a daemon that does not read learns it from the monitors' sockets


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """SIGCHLD only has to be written to the wakeup fd; the others end neither zygote nor monitors."""

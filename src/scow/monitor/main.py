"""A monitor's life from the fork to its end."""

import os
import signal
import socket
import sys
from types import FrameType

from scow.errors import Internal, InvalidArgument, ScowError
from scow.monitor import commands, control, wire
from scow.monitor.loop import Loop
from scow.monitor.monitor import Monitor, Wanted


def run(peer: socket.socket) -> int:
    """Serve the daemon at `peer`, whose first messages say what to start. Returns the process's exit status."""
    _become_a_monitor()
    try:
        message, fds = _first(peer)
    except (wire.Closed, InvalidArgument, OSError):
        return 1
    number = message.get("id", 0)
    monitor: Monitor | None = None
    try:
        directory, netns, attachments = _requested(message, fds)
        monitor = Monitor(Loop(), directory, peer, commands.dispatch)
        monitor.start(netns, attachments)
    except ScowError as error:
        return _refuse(peer, number, error)
    except Exception as error:  # noqa: BLE001  the daemon must hear of it, whatever it is
        return _refuse(peer, number, Internal(f"monitor: {type(error).__name__}: {error}"))
    if netns is not None:
        os.close(netns)
    init = monitor.init
    assert init is not None
    peer.setblocking(False)
    try:
        wire.send(peer, {"id": number, "result": {"pid": init.pid, "started_at": init.started_at}})
    except OSError:
        pass  # the daemon has died meanwhile; the next one will ask
    try:
        monitor.serve()
    except Exception as error:
        monitor.trouble(f"monitor ends: {type(error).__name__}: {error} at {_place(error)}")
        raise
    return 0


def _become_a_monitor() -> None:
    os.setsid()
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):  # the daemon's own would keep whoever reads its output waiting for ever
        os.dup2(null, fd, inheritable=False)
    os.close(null)
    with open("/proc/self/comm", "wb", buffering=0) as name:
        name.write(b"scow-monitor")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Only the container's end ends its monitor. A handler, unlike SIG_IGN, is not inherited by the container.
        signal.signal(number, _stay)


def _stay(_number: int, _frame: FrameType | None) -> None:
    pass


def _first(peer: socket.socket) -> tuple[wire.Message, list[int]]:
    """The first message with all its fds, which may have needed more packets than one."""
    message, fds = wire.receive(peer, wait=True)
    wanted = message.get("fds")
    if type(wanted) is not int:
        wire.close_all(fds)
        raise InvalidArgument("the number of descriptors is missing")
    while len(fds) < wanted:
        _, more = wire.receive(peer, wait=True)
        fds += more
        if not more:
            break
    return message, fds


def _requested(message: wire.Message, fds: list[int]) -> tuple[int, int | None, list[Wanted]]:
    """(task directory, network namespace, attachments). The lock and the kept fds stay open and are never touched."""
    directory, _lock = fds.pop(0), fds.pop(0)
    netns = fds.pop(0) if message.get("netns") else None
    attachments = []
    for fields in message.get("attachments", ()):
        wanted = commands.read_attachment(fields, fds)
        assert wanted is not None
        attachments.append(wanted)
    return directory, netns, attachments


def _refuse(peer: socket.socket, number: int, error: ScowError) -> int:
    try:
        peer.setblocking(False)
        wire.send(peer, control.failure(number, error.code, error.message))
    except OSError:
        pass
    return 1


def _place(error: BaseException) -> str:
    """The innermost line, without the traceback module and what it would load."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}" if traceback else "?"


sys.setswitchinterval(1000)  # there is one thread

"""A monitor's life from the fork to its end."""

import os
import socket
import sys

from scow.errors import Internal, InvalidArgument, ScowError
from scow.monitor import commands, wire
from scow.monitor.control import Answer
from scow.monitor.loop import Loop
from scow.monitor.monitor import Monitor, Wanted
from scow.monitor.starting import RuntimeSteps, Steps


def run(peer: wire.Peer) -> int:
    """Serve the daemon at `peer`, whose first messages say what to start. Returns the process's exit status.

    SIGCHLD, SIGTERM, SIGINT and SIGHUP have handlers that do nothing (the zygote's): only the container's end ends its
    monitor, and a handler, unlike SIG_IGN, is not inherited by the container.
    """
    _become_a_monitor()
    return serve(peer, prepared(RuntimeSteps()))


def wait(channel: wire.Peer) -> int:
    """As `run`, beforehand: `channel` brings the daemon's connection when a container is to be started."""
    _become_a_monitor()
    monitor = prepared(RuntimeSteps())
    try:
        _, (fd,) = wire.receive(channel, wait=True)
    except (wire.Closed, InvalidArgument, OSError, ValueError):
        return 0  # the zygote has ended
    channel.close()
    return serve(socket.SocketType(fileno=fd), monitor)


def prepared(steps: Steps) -> Monitor:
    """A monitor that waits to be told what to start."""
    monitor = Monitor(Loop(), commands.dispatch, steps)
    monitor.prepare()
    return monitor


def serve(peer: wire.Peer, monitor: Monitor) -> int:
    """The monitor's life, with the daemon at `peer`."""
    try:
        message, fds = _first(peer)
    except (wire.Closed, InvalidArgument, OSError):
        return 1
    number = int(message["id"])
    try:
        directory, netns, attachments = _requested(message, fds)
        monitor.start(directory, netns, attachments, Answer(monitor.control.adopt(peer), number))
    except ScowError as error:
        return _refuse(peer, number, error)
    except Exception as error:  # noqa: BLE001  the daemon must hear of it, whatever it is
        return _refuse(peer, number, Internal(f"monitor: {type(error).__name__}: {error}"))
    if netns is not None:
        os.close(netns)
    try:
        monitor.serve()
    except Exception as error:
        monitor.trouble(f"monitor ends: {type(error).__name__}: {error} at {_place(error)}")
        raise
    return 1 if monitor.failed else 0


def _become_a_monitor() -> None:
    os.setsid()
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):  # the daemon's own would keep whoever reads its output waiting for ever
        os.dup2(null, fd, inheritable=False)
    os.close(null)
    name = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(name, b"scow-monitor")
    os.close(name)


def _first(peer: wire.Peer) -> tuple[wire.Message, list[int]]:
    """The first message with all its fds, which may have needed more packets than one."""
    message, fds = wire.receive(peer, wait=True)
    wanted = message.get("fds")
    if type(wanted) is not int or type(message.get("id")) is not int:
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
    if len(fds) < 2:
        raise InvalidArgument("the task's directory is missing")
    directory, _lock = fds.pop(0), fds.pop(0)
    netns = fds.pop(0) if message.get("netns") else None
    attachments = []
    for fields in message.get("attachments", ()):
        wanted = commands.read_attachment(fields, fds)
        assert wanted is not None
        attachments.append(wanted)
    return directory, netns, attachments


def _refuse(peer: wire.Peer, number: object, error: ScowError) -> int:
    try:
        wire.send(peer, {"id": number, "error": {"code": error.code, "message": error.message}})
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

"""The socket between the monitor and a process that is being started.

Messages are datagrams: F stage NUL errno NUL text (failure), C (the pty's master comes along), P pid (the process that
will execute is another one), X (about to execute), G (from the monitor: the cgroup is complete, id maps are written).
The end of the channel is reached when the child's last copy closes, which execve does.
"""

import os
import select
import socket
import struct
from dataclasses import dataclass

from scow.runtime.failure import INIT

_MAX_MESSAGE = 8192
PATIENCE = 120
_FD = struct.Struct("i")


def send_failure(fd: int, stage: str, number: int, text: str) -> None:
    raw = f"{stage}\0{number}\0{text}".encode("utf-8", "backslashreplace")
    os.write(fd, b"F" + raw[:_MAX_MESSAGE])


def send_go(fd: int) -> None:
    try:
        os.write(fd, b"G")
    except BrokenPipeError:  # it has failed already and says why
        return


def send_console(fd: int, master: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=os.dup(fd)) as sock:
        sock.sendmsg([b"C"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(master))])


@dataclass(slots=True)
class Outcome:
    """What came over the channel until it ended."""

    started: bool = False
    pid: int = 0
    console: int | None = None
    failure: tuple[str, int, str] | None = None
    stuck: bool = False


def collect(fd: int, terminal: bool) -> Outcome:
    """Read until the child's end is closed everywhere: also after a failure, whose sender's pid may still be under way.

    A process that is left unreaped in a container's pid namespace would keep the container's init from ever ending.
    After PATIENCE seconds without a word it is a failure (a frozen cgroup, one that waits for memory).
    """
    outcome = Outcome()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        if not poll.poll(PATIENCE * 1000):
            outcome.stuck = True
            outcome.failure = (INIT, 0, f"the process has not started within {PATIENCE} seconds")
            return outcome
        try:
            plain = outcome.console is not None or not terminal
            message = os.read(fd, _MAX_MESSAGE + 64) if plain else _receive_console(fd, outcome)
        except ConnectionResetError:  # it ended without having read our word; what it said before comes next
            continue
        if not message:
            return outcome
        kind, rest = message[:1], message[1:]
        if kind == b"F":
            stage, number, text = rest.decode("utf-8", "replace").split("\0", 2)
            outcome.failure = (stage, int(number), text)
        elif kind == b"P":
            outcome.pid = int(rest)
        elif kind == b"X":
            outcome.started = True


def _receive_console(fd: int, outcome: Outcome) -> bytes:
    """One message that may bring an fd along, which a plain read would lose."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=os.dup(fd)) as sock:
        message, ancillary, _, _ = sock.recvmsg(_MAX_MESSAGE + 64, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
    for _, _, data in ancillary:
        outcome.console = _FD.unpack(data[:4])[0]
    return message

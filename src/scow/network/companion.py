"""A process beside the daemon that outlives it (the relay, the helper for names): its start, and how its end is noticed."""

import asyncio
import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence


def launch(path: str, program: Sequence[str], *, errors: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    """Start `program` (arguments of an isolated Python) with a control socket at `path` as its stdin.

    The socket listens before the program runs: nothing waits for its start. A process that served the path before sees
    that its own is gone. errors: an fd for stderr.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as control:
        control.bind(path)
        os.chmod(path, 0o600)
        control.listen(8)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", *program],
            stdin=control.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
        )


async def until_ended(connection: socket.socket) -> None:
    """Wait until the process at the other end has gone, or until `connection` is shut down; what comes stays to be read by
    others. At once when it is closed already.
    """
    try:
        own = os.dup(connection.fileno())  # epoll forgets a descriptor that is closed
    except OSError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        with select.epoll() as hangup:
            hangup.register(own, select.EPOLLRDHUP | select.EPOLLHUP)
            loop.add_reader(hangup.fileno(), ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(hangup.fileno())
    finally:
        os.close(own)

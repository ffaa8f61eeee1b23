"""Writing to the standard streams with the semantics of a Unix filter, below Python's text layer."""

from __future__ import annotations

import posix
from _signal import SIG_DFL, SIGPIPE, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes everything to a standard stream; a closed pipe ends the process by SIGPIPE as it ends any filter."""
    try:
        done = posix.write(fd, data)
        if done == len(data):
            return
        view = memoryview(data)[done:]
    except BlockingIOError:
        view = memoryview(data)
    except BrokenPipeError:
        _die_of_pipe()
    while view:
        try:
            view = view[posix.write(fd, view) :]
        except BlockingIOError:  # the other end made the open file description non-blocking
            _wait_writable(fd)
        except BrokenPipeError:
            _die_of_pipe()


def _wait_writable(fd: int) -> None:
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


def _die_of_pipe() -> NoReturn:
    signal(SIGPIPE, SIG_DFL)
    posix.kill(posix.getpid(), SIGPIPE)
    posix._exit(141)


def put(text: str) -> None:
    """Writes text to stdout."""
    if text:
        write_all(1, text.encode("utf-8", "surrogateescape"))


def line(text: str) -> None:
    """Writes one line to stdout."""
    put(text + "\n")


def warn(text: str) -> None:
    """Writes one line to stderr."""
    try:
        write_all(2, (text + "\n").encode("utf-8", "surrogateescape"))
    except OSError:
        pass  # a closed stderr must not hide the exit code

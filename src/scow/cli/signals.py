"""Signals of an attached client: forwarded to the container, or its terminal's size when that changes."""

from __future__ import annotations

import _signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.client.api import Client

# Not forwarded: cannot be caught, mean a fault of ours, or are about our own children, pipes and terminal reads.
_KEPT = tuple(
    getattr(_signal, "SIG" + name) for name in "KILL STOP CHLD PIPE URG SEGV BUS FPE ILL TTIN TTOU PROF".split()
)


def forward(client: Client, container: str) -> None:
    """Sends every signal that we get to the container's process instead."""

    def send(number: int, _: object) -> None:
        _aside(client, f"/containers/{container}/kill", [("signal", str(number))])

    for number in _signal.valid_signals():
        if number not in _KEPT:
            try:
                _signal.signal(number, send)
            except (OSError, ValueError):
                continue


def redraw(client: Client, path: str) -> None:
    """Makes full-screen programs draw themselves anew: a size that is one column off, before the right one."""
    from scow.cli.terminal import size

    height, width = size(1)
    if height or width:
        _resize(client, path, height + 1, width + 1)


def follow_size(client: Client, path: str) -> None:
    """Gives the terminal's size to `path` (…/resize) now, and again whenever it changes."""
    from scow.cli.terminal import size

    def resize(*_: object) -> None:
        height, width = size(1)
        if height or width:
            _resize(client, path, height, width)

    resize()
    _signal.signal(_signal.SIGWINCH, resize)


def _resize(client: Client, path: str, height: int, width: int) -> None:
    _aside(client, path, [("h", str(height)), ("w", str(width))])


def _aside(client: Client, path: str, params: list[tuple[str, str]]) -> None:
    """A POST on a connection of its own: signal handlers run while ours may be in the middle of an answer."""
    from scow.errors import ScowError

    another = type(client)(client.endpoint, client.version)
    try:
        another.call("POST", path, params).read()
    except (ScowError, OSError):
        pass  # the container may have ended; its end is what the caller waits for
    finally:
        another.close()

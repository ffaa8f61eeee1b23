"""Signals of an attached client: forwarded to the container, or its terminal's size when that changes."""

from __future__ import annotations

import _signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.client.api import Client

# Not forwarded: cannot be caught, mean a fault of ours, or are about our own children, pipes and terminal reads.
_KEPT = ("SIGKILL", "SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGURG", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTTIN", "SIGTTOU", "SIGPROF")


def forward(client: Client, container: str) -> None:
    """Sends every signal that we get to the container's process instead."""
    kept = {getattr(_signal, name) for name in _KEPT}

    def send(number: int, _: object) -> None:
        connectionless = type(client)(client.endpoint, client.version)  # ours may be in the middle of an answer
        try:
            connectionless.call("POST", f"/containers/{container}/kill", [("signal", str(number))]).read()
        except Exception:  # noqa: BLE001 the container may have ended; its end is what the caller waits for
            pass
        finally:
            connectionless.close()

    for number in _signal.valid_signals():
        if number not in kept:
            try:
                _signal.signal(number, send)
            except (OSError, ValueError):
                continue


def restore_default_interrupt() -> None:
    """Makes SIGINT raise KeyboardInterrupt again."""
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def follow_size(client: Client, path: str) -> None:
    """Gives the terminal's size to `path` (…/resize) now, and again whenever it changes."""
    from scow.cli.terminal import size

    def resize(*_: object) -> None:
        height, width = size(1)
        if not height and not width:
            return
        another = type(client)(client.endpoint, client.version)
        try:
            another.call("POST", path, [("h", str(height)), ("w", str(width))]).read()
        except Exception:  # noqa: BLE001 a terminal of the wrong size is no reason to stop
            pass
        finally:
            another.close()

    resize()
    _signal.signal(_signal.SIGWINCH, resize)

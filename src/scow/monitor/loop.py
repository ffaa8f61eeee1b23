"""The monitor's event loop: poll(2), timers and the end of children. Nothing else runs in a monitor."""

import os
import select
import signal
import time
from collections.abc import Callable

IN = select.POLLIN
OUT = select.POLLOUT
GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL
"""Reported whatever is asked for."""

Handler = Callable[[int], None]


class Loop:
    """Lifecycle: watch and call_at any number of times, `turn` until the owner has enough, `close`."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._children: Callable[[], None] | None = None
        self._wake_read = self._wake_write = -1

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler(events)` when `fd` is ready for one of `events` (0: only GONE). Replaces an earlier watch."""
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Stop watching; must come before the fd is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once after so many seconds. Timers are not cancelled: the callee checks whether it still matters."""
        self._timers.append((time.monotonic() + seconds, call))

    def on_children(self, call: Callable[[], None]) -> None:
        """Call whenever children of this process have ended. SIGCHLD has a handler already, which need do nothing: the
        zygote's. (To ask for it costs a hundred kilobytes of every monitor: `signal` makes an enumeration of the answer.)
        """
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._children = call
        self.watch(self._wake_read, IN, self._child_ended)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def _child_ended(self, _: int) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
        if self._children is not None:
            self._children()

    def turn(self) -> None:
        """Wait for something to happen and handle it."""
        timeout = None
        if self._timers:
            timeout = max(0.0, min(when for when, _ in self._timers) - time.monotonic()) * 1000
        for fd, events in self._poll.poll(timeout):
            handler = self._handlers.get(fd)  # an earlier handler of this turn may have forgotten it
            if handler is not None:
                handler(events)
        if self._timers:
            self._run_timers()

    def _run_timers(self) -> None:
        now = time.monotonic()
        due = [timer for timer in self._timers if timer[0] <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for _, call in due:
            call()

    def close(self) -> None:
        """Give up the fds of the loop itself."""
        if self._wake_read >= 0:
            signal.set_wakeup_fd(-1)
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1

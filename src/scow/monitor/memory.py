"""Watches for kills by the kernel for lack of memory in the container's control group."""

import os
import select
from collections.abc import Callable

from scow.errors import ScowError
from scow.linux.cgroup import Cgroup
from scow.monitor.loop import Loop

_EVENTS = select.POLLIN | select.POLLPRI
_LOOKS = 6
_FIRST_LOOK = 0.005


class MemoryWatch:
    """Calls `told` once for every kill. Lifecycle: made when the container runs, `close` before its group is removed."""

    def __init__(self, loop: Loop, group: Cgroup, told: Callable[[], None]) -> None:
        self._loop = loop
        self._group = group
        self._told = told
        self.kills = 0
        try:
            self._fd = group.oom_event_fd()
        except (OSError, ScowError):
            self._fd = None
        if self._fd is not None:
            loop.watch(self._fd, select.POLLIN if group.version == 1 else select.POLLPRI, self._ready)
        self.look()

    def look(self) -> bool:
        """Read the kernel's counter and tell what is new. Whether there was something."""
        try:
            kills = self._group.oom_kills()
        except (OSError, ScowError):
            return False
        new, self.kills = kills - self.kills, max(self.kills, kills)
        for _ in range(new):
            self._told()
        return new > 0

    def _ready(self, events: int) -> None:
        if self._fd is None:
            return
        if not events & _EVENTS:  # the group has gone
            self.close()
            return
        try:
            os.read(self._fd, 8) if self._group.version == 1 else os.pread(self._fd, 4096, 0)
        except OSError:
            self.close()
            return
        self._look_soon(_LOOKS, _FIRST_LOOK)

    def _look_soon(self, looks: int, delay: float) -> None:
        """Version 1 tells of the want before it kills, and perhaps it does not have to kill."""
        if self._fd is not None and not self.look() and looks:
            self._loop.call_later(delay, lambda: self._look_soon(looks - 1, delay * 2))

    def close(self) -> None:
        if self._fd is not None:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = None

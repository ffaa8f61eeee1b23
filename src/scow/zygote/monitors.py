"""The zygote's children: monitors at work, and a few spare ones that wait for work.

A spare monitor and its starter are forked already when a container is to be started, which takes two forks out of
the way of its start.
"""

import os
import signal
import socket
from collections.abc import Callable, Sequence

from scow.monitor import main, wire

SPARES = 2


class Monitors:
    """Lifecycle: made with the zygote's own fds, which no monitor may keep; then any calls."""

    def __init__(self, own: Sequence[int]) -> None:
        self._own = own
        self._spares: dict[int, wire.Peer] = {}

    @property
    def missing(self) -> bool:
        """Whether spare monitors should be made."""
        return len(self._spares) < SPARES

    def prepare_one(self) -> None:
        """Make a spare monitor; not being able to is no error now."""
        ours, theirs = wire.pair()
        try:
            pid = self._fork(theirs.fileno(), main.wait, (ours.fileno(),))
        except OSError:
            ours.close()
            return
        finally:
            theirs.close()
        self._spares[pid] = ours

    def provide(self, connection: int) -> int:
        """Give the control connection to a monitor; its pid. OSError when none can be made. The fd stays the caller's."""
        while self._spares:
            pid, channel = self._spares.popitem()
            try:
                wire.send(channel, {}, (connection,))
                return pid
            except OSError:
                continue  # it has died
            finally:
                channel.close()
        return self._fork(connection, main.run, ())

    def died(self, pid: int) -> None:
        """A child has ended."""
        channel = self._spares.pop(pid, None)
        if channel is not None:
            channel.close()

    def _fork(self, fd: int, life: Callable[[wire.Peer], int], foreign: Sequence[int]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            wire.close_all((*self._own, *foreign, *(channel.fileno() for channel in self._spares.values())))
            status = life(socket.SocketType(fileno=fd))
        finally:
            os._exit(status)

"""A process that the monitor has started: a container's init or an exec."""

import os
import signal
import time

from scow.errors import NotFound
from scow.monitor.stdio import Stdio

UNKNOWN = 255


class Process:
    """pid is the host's. `code` is None while it runs; finished_at is in Unix nanoseconds."""

    def __init__(self, pid: int, pidfd: int, started_at: int, stdio: Stdio) -> None:
        self.pid = pid
        self.started_at = started_at
        self.stdio = stdio
        self.code: int | None = None
        self.finished_at = 0
        self._pidfd = pidfd

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal, with `group` to its whole process group. NotFound when the process has ended."""
        if self._pidfd < 0:
            raise NotFound(f"process {self.pid} has ended")
        try:
            if group:  # not reaped: the number is still this process's, and it leads the group of this number
                os.killpg(self.pid, number)
                return
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            raise NotFound(f"process {self.pid} has ended") from None

    def ended(self, status: int) -> None:
        """It was reaped with this wait status."""
        code = os.waitstatus_to_exitcode(status)
        self.code = code if code >= 0 else 128 - code
        self.finished_at = time.time_ns()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

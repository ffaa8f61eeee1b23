"""The daemon's side of the zygote: starts it, asks it for monitors, starts another when it dies."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

import scow
from scow.errors import Unavailable
from scow.supervisor.connection import Connection, Lost, Reply

_log = logging.getLogger("scow.supervisor")
_CODE = "import sys;sys.path.append(sys.argv[1]);from scow.zygote.start import main;main(int(sys.argv[2]))"

# Freed memory goes back to the system late, so that a stream of output does not fault its buffers in again and again.
# Monitors that fall idle give it back themselves.
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(2 << 20),
}


def default_command() -> Sequence[str]:
    """The interpreter that runs the daemon, without site packages, and the place of scow's sources; the fd follows."""
    executable: str = getattr(sys, "_base_executable", "") or sys.executable
    source = os.path.dirname(os.path.dirname(os.path.abspath(scow.__file__)))
    return (executable, "-I", "-S", "-X", "utf8", "-c", _CODE, source)


class Zygote:
    """Lifecycle: `start`, any number of `fork`, `close`. A zygote that dies is replaced at once."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = tuple(command or default_command())
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._closing = False
        self._quick_deaths = 0
        self._started_at = 0.0

    @property
    def pid(self) -> int:
        """The process id, 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; it serves as soon as it is ready. Unavailable when it cannot be started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        loop = asyncio.get_running_loop()
        try:
            # Not os.posix_spawn: it leaves two realtime signals ignored, which containers would inherit.
            self._process = subprocess.Popen(
                [*self._command, str(theirs.fileno())],
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise Unavailable(f"cannot start the zygote {self._command[0]}: {error.strerror}") from error
        finally:
            theirs.close()
        self._pidfd = os.pidfd_open(self._process.pid)
        self._started_at = loop.time()
        loop.add_reader(self._pidfd, self._died)
        self._connection = Connection(ours, on_event=_monitor_died)

    async def fork(self, monitor: socket.socket) -> int:
        """Start a monitor whose control connection is `monitor` (closed here in any case). Returns its pid.

        Lost when the zygote died before it answered: then the monitor may or may not exist.
        """
        try:
            connection = self._connection
            if connection is None or connection.closed:
                raise Lost("the zygote is being restarted")
            reply = await connection.request({"op": "fork"}, [[monitor.fileno()]])
            return int(reply["pid"])
        finally:
            monitor.close()

    async def ready(self) -> None:
        """Wait, for a short time, until a zygote that died is replaced."""
        for _ in range(400):
            if self._connection is not None and not self._connection.closed:
                return
            await asyncio.sleep(0.005)

    def close(self) -> None:
        """End the zygote; monitors stay."""
        self._closing = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def ended(self) -> None:
        """Wait, for a short time, until a closed zygote is gone."""
        for _ in range(200):
            if self._process is None:
                return
            await asyncio.sleep(0.005)

    def _died(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        process, self._process = self._process, None
        assert process is not None
        status = process.wait()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._closing:
            return
        _log.error("the zygote %d has died (%d), starting another", process.pid, status)
        quick = loop.time() - self._started_at < 1
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        loop.call_later(min(self._quick_deaths * 0.5, 10), self._again)

    def _again(self) -> None:
        if self._closing or self._process is not None:
            return
        try:
            self.start()
        except Unavailable as error:
            _log.error("%s", error.message)
            asyncio.get_running_loop().call_later(1, self._again)


def _monitor_died(message: Reply) -> None:
    status = message.get("status")
    if type(status) is int and status:
        _log.warning("monitor %s has ended with status %s", message.get("died"), os.waitstatus_to_exitcode(status))

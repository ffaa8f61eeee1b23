"""Standard input and output of one process in a container, by pipes or by a terminal.

Output goes to the log and to every attached client; input comes from any client. Reading stops while a client is
congested (see client.py). Pipes grow only when they are seen full, so that an idle container costs little.
"""

import errno
import fcntl
import os
import struct
import termios
import time
from collections.abc import Callable

from scow.logs.drivers import STDERR, STDOUT, Driver
from scow.monitor import heap
from scow.monitor.client import Client
from scow.monitor.loop import GONE, IN, OUT, Loop

_SMALL = 64 << 10
_LARGE = 256 << 10  # chunks that stay in the processor's cache are the fastest
_PIPE = 1 << 20
_MAX_INPUT = 64 << 10
_REOPEN = 0.2
_HUSH = 0.05
_CALM = 2.0
_O = os.O_CLOEXEC


class Stdio:
    """Lifecycle: made, `child_fds` given to the process, `started`, …, `process_ended`, `finish`.

    closes_stdin: the end of a client's input is the end of the process's (never with a terminal).
    """

    def __init__(self, loop: Loop, log: Driver | None, *, terminal: bool, stdin: bool, closes_stdin: bool) -> None:
        self._loop = loop
        self._log = log
        self.terminal = terminal
        self._accepts = stdin
        self._closes_stdin = closes_stdin and not terminal
        self._clients: list[Client] = []
        self._outputs: dict[int, int] = {}
        self._stdin = -1
        self._pending = bytearray()
        self._ending_input = False
        self._paused = False
        self._size = _SMALL
        self._busy = False
        self._child: tuple[int, int, int] | None = None
        self._when_ended: Callable[[], None] | None = None

    def child_fds(self, *, discard: bool = False) -> tuple[int, int, int] | None:
        """The descriptors 0, 1, 2 for the process; None with a terminal. discard: nobody will read the output."""
        if self.terminal:
            return None
        if self._accepts:
            child_in, self._stdin = os.pipe2(_O)
            os.set_blocking(self._stdin, False)
        else:
            child_in = os.open("/dev/null", os.O_RDONLY | _O)
        if discard:
            out = os.open("/dev/null", os.O_WRONLY | _O)
            self._child = child_in, out, out
            return self._child
        child = [child_in]
        for stream in (STDOUT, STDERR):
            read, write = os.pipe2(_O)
            os.set_blocking(read, False)
            self._outputs[stream] = read
            child.append(write)
        self._child = child[0], child[1], child[2]
        return self._child

    def release_child(self) -> None:
        """Close this side's copies of the process's descriptors."""
        if self._child is not None:
            for fd in set(self._child):
                os.close(fd)
            self._child = None

    def started(self, console: int | None) -> None:
        """The process runs; `console` is its terminal's master side."""
        self.release_child()
        if console is not None:
            os.set_blocking(console, False)
            self._outputs[STDOUT] = console
            if self._accepts:
                self._loop.call_later(_HUSH, self._open_console_input)
        self._watch()
        if self._pending and self._stdin >= 0:
            self._write_input()

    def _open_console_input(self) -> None:
        """Input goes to a terminal when its program has said something, or after a moment.

        A terminal echoes what is typed ahead at once, and a start that is faster than the client's first bytes is no
        reason to show them before the program's own first line.
        """
        console = self._outputs.get(STDOUT, -1)
        if self._stdin < 0 and console >= 0 and self._accepts:
            self._stdin = console
            if self._pending:
                self._write_input()

    def attach(self, client: Client) -> None:
        """Add a client; it gets the output from here on."""
        self._clients.append(client)

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size; the kernel tells the foreground processes. OSError without a terminal."""
        console = self._outputs.get(STDOUT, -1)
        if not self.terminal or console < 0:
            raise OSError(errno.ENOTTY, "not a terminal")
        fcntl.ioctl(console, termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))

    # ------------------------------------------------------------ output

    def _watch(self) -> None:
        for stream, fd in self._outputs.items():
            events = 0 if self._paused else IN
            if fd == self._stdin and self._pending:
                events |= OUT
            if events:
                self._loop.watch(fd, events, self._stdout_ready if stream == STDOUT else self._stderr_ready)
            else:
                self._loop.forget(fd)  # a hangup would be reported again and again

    def _stdout_ready(self, events: int) -> None:
        self._ready(STDOUT, events)

    def _stderr_ready(self, events: int) -> None:
        self._ready(STDERR, events)

    def _ready(self, stream: int, events: int) -> None:
        if events & OUT:
            self._write_input()
        if self._paused:
            if events & GONE:
                self._loop.forget(self._outputs[stream])
        elif events & (IN | GONE):
            self._read(stream)

    def _read(self, stream: int) -> bool:
        """Read and pass on one chunk; whether there may be more."""
        fd = self._outputs[stream]
        try:
            data = os.read(fd, self._size)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has the terminal open
            data = b""
        if not data:
            self._output_ended(stream, fd)
            return False
        if len(data) == self._size:
            self._grow(fd)
        for client in tuple(self._clients):
            client.send(stream, data)
        if self._log is not None:
            self._log.write(stream, data, time.time_ns())
        if self.terminal and self._stdin < 0:
            self._open_console_input()
        return True

    def _grow(self, fd: int) -> None:
        """Output comes faster than it is read: read more at a time, and let the pipes hold more."""
        self._busy = True
        if self._size < _LARGE:
            self._size = _LARGE
            self._loop.call_later(_CALM, self._calm_down)
            if not self.terminal:
                for other in self._outputs.values():
                    try:
                        fcntl.fcntl(other, fcntl.F_SETPIPE_SZ, _PIPE)
                    except OSError:
                        pass  # a limit of the machine; the small pipe works too

    def _calm_down(self) -> None:
        if self._busy:
            self._busy = False
            self._loop.call_later(_CALM, self._calm_down)
        else:
            self._size = _SMALL
            heap.trim()

    def _output_ended(self, stream: int, fd: int) -> None:
        self._loop.forget(fd)
        if self.terminal and self._when_ended is None:
            # Processes may open the terminal again. Its end is the end of the process, see `process_ended`.
            self._loop.call_later(_REOPEN, self._watch)
            return
        del self._outputs[stream]
        if fd == self._stdin:
            self._stdin = -1
        os.close(fd)
        if not self._outputs and self._when_ended is not None:
            when_ended, self._when_ended = self._when_ended, None  # it refers to us: kept, it would keep us
            when_ended()

    def process_ended(self, when_ended: Callable[[], None]) -> None:
        """The process is dead: pass on what it left in pipes and terminal.

        Calls `when_ended` once every output has come to its end, which is at once unless others still hold them open.
        """
        if not self._outputs:
            when_ended()
            return
        self._when_ended = when_ended
        for stream in tuple(self._outputs):
            while stream in self._outputs and self._read(stream):
                pass

    def finish(self, now: int) -> None:
        """End it: nothing is read any more; clients are closed as soon as they have what is theirs."""
        for fd in self._outputs.values():
            self._loop.forget(fd)
            os.close(fd)
        if self._stdin in self._outputs.values():
            self._stdin = -1
        self._outputs.clear()
        self.release_child()
        if self._log is not None:
            self._log.close(now)
            self._log = None
        self.end_clients()

    def release(self) -> None:
        """The process could not be started: close everything but the clients' connections, which get no end.

        The daemon still holds its copies of them and says there why it failed.
        """
        for client in tuple(self._clients):
            client.release()
        self.finish(0)

    def end_clients(self) -> None:
        """Let clients go while output is still read, for nobody (a left-over of an exec must not die of SIGPIPE)."""
        self._close_input()
        for client in tuple(self._clients):
            client.end()

    # ------------------------------------------------------------ input (client.Owner)

    @property
    def accepts_input(self) -> bool:
        return self._accepts

    @property
    def wants_input(self) -> bool:
        return len(self._pending) < _MAX_INPUT

    def feed(self, data: bytes) -> None:
        if not self._accepts or self._ending_input:
            return
        self._pending += data
        if self._stdin >= 0:
            self._write_input()

    def input_ended(self) -> None:
        if self._closes_stdin:
            self._ending_input = True
            if not self._pending:
                self._close_input()

    @property
    def keeps_clients(self) -> bool:
        """Whether a client goes on to get output after the end of its input. If that end does not become the
        process's, it is the end of the attachment, as in Docker."""
        return self._closes_stdin or not self._accepts

    def client_changed(self) -> None:
        paused = any(client.congested for client in self._clients)
        if paused != self._paused:
            self._paused = paused
            self._watch()

    def client_closed(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
        self.client_changed()

    def _write_input(self) -> None:
        full = not self.wants_input
        try:
            with memoryview(self._pending) as view:
                written = os.write(self._stdin, view)
            del self._pending[:written]
        except BlockingIOError:
            pass
        except OSError:  # EPIPE: the process has closed its stdin
            self._pending.clear()
            self._accepts = False
            self._close_input()
        if self._stdin in self._outputs.values():
            self._watch()
        elif self._stdin >= 0:
            if self._pending:
                self._loop.watch(self._stdin, OUT, self._input_ready)
            else:
                self._loop.forget(self._stdin)
        if self._ending_input and not self._pending:
            self._close_input()
        if full and self.wants_input:
            for client in tuple(self._clients):
                client.refresh()

    def _input_ready(self, _: int) -> None:
        self._write_input()

    def _close_input(self) -> None:
        if self._stdin >= 0 and self._stdin not in self._outputs.values():
            self._loop.forget(self._stdin)
            os.close(self._stdin)
        self._stdin = -1
        self._pending.clear()

"""The monitor of one container: starts it, stands by it, records how it ended."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from scow.errors import Internal, NotFound, ScowError
from scow.linux import cgroup, libc
from scow.logs.drivers import STDERR, STDOUT
from scow.logs.drivers.opening import open_driver
from scow.monitor import bundle, exit_record, wire
from scow.monitor.client import Client
from scow.monitor.control import Control
from scow.monitor.exit_record import ExitRecord
from scow.monitor.loop import Loop
from scow.monitor.process import UNKNOWN, Process
from scow.monitor.stdio import Stdio
from scow.oci.runtime import Spec
from scow.runtime.execute import execute
from scow.runtime.launch import launch

INIT = ""
_MAX_ENDED_EXECS = 256
_EXEC_GRACE = 2.0  # Docker waits as long for output of what an exec left behind
_RETRY = 1.0
_LINGER = 300.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A client that is to be attached. See the engine's Attachment."""

    connection: int
    stdin: bool
    streams: frozenset[int]
    framed: bool
    early: bytes
    keys: bytes


def streams(stdout: bool, stderr: bool) -> frozenset[int]:
    """The stream numbers of two flags."""
    return frozenset(number for number, wanted in ((STDOUT, stdout), (STDERR, stderr)) if wanted)


class Monitor:
    """Lifecycle: made, `start` once (or it raises and has left nothing), then `serve` until everything is over."""

    def __init__(
        self, loop: Loop, directory: int, peer: socket.socket, dispatch: "Callable[..., wire.Message]"
    ) -> None:
        self._loop = loop
        self._directory = directory
        self.bundle = bundle.read(directory)
        self.control = Control(loop, lambda message, fds: dispatch(self, message, fds))
        self._peer = peer
        self._processes: dict[int, Process] = {}
        self.execs: dict[str, Process] = {}
        self._settling: dict[str, Callable[[], None]] = {}
        self.init: Process | None = None
        self.frozen = False
        self.exit: ExitRecord | None = None
        self._durable = False
        self._clients: set[Client] = set()
        self._cgroup: cgroup.Cgroup | None = None
        self._close_at = 0.0

    # ------------------------------------------------------------ start

    def start(self, netns: int | None, attachments: list[Wanted]) -> None:
        """Run the container. Raises ScowError; then the cgroup, the processes and the socket are gone again."""
        undo: list[Callable[[], None]] = []
        try:
            self._start(netns, attachments, undo)
        except BaseException:
            for step in reversed(undo):
                try:
                    step()
                except (OSError, ScowError) as error:
                    self.trouble(f"undo: {error}")
            raise

    def _start(self, netns: int | None, attachments: list[Wanted], undo: list[Callable[[], None]]) -> None:
        task = self.bundle
        spec = bundle.read_spec(self._directory)
        undo.append(self.control.close)
        self.control.listen(self._directory)
        log = open_driver(task.log_driver, task.log_path, task.log_options, task.log_attributes)
        stdio = Stdio(self._loop, log, terminal=task.terminal, stdin=task.open_stdin, closes_stdin=task.stdin_once)
        undo.append(lambda: stdio.finish(time.time_ns()))
        made = self._cgroup = cgroup.create(task.cgroup, _resources(spec))
        undo.append(made.remove)
        self._loop.on_children(self._reap)
        undo.append(self._loop.close)
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        fds = stdio.child_fds()
        for wanted in attachments:
            self.attach_to(stdio, wanted)
        launched = launch(spec, task.rootfs, cgroup=made, netns=netns, stdio=fds, console_size=task.console_size)
        process = Process(launched.pid, launched.pidfd, launched.started_at, stdio)
        self.init = self._processes[process.pid] = process
        stdio.started(launched.console)
        bundle.write(
            self._directory,
            bundle.STARTED,
            b'{"pid":%d,"started_at":%d}\n' % (process.pid, process.started_at),
        )

    def serve(self) -> None:
        """Go on until the container has ended, its exit is recorded, and everybody has what is theirs."""
        self.control.adopt(self._peer)
        while not self._over():
            self._loop.turn()
        self.control.close()
        for client in tuple(self._clients):
            client.close()

    def _over(self) -> bool:
        if self.exit is None or not self._durable:
            return False
        return not self._clients and not self.control.busy or time.monotonic() > self._close_at

    # ------------------------------------------------------------ clients and execs

    def attach_to(self, stdio: Stdio, wanted: Wanted) -> None:
        """Attach a client; its descriptor is owned from here on."""
        try:
            connection = socket.socket(fileno=wanted.connection)
        except OSError:
            os.close(wanted.connection)
            raise
        client = Client(
            self._loop,
            connection,
            _Registration(stdio, self._clients),
            stdin=wanted.stdin and stdio.accepts_input,
            streams=wanted.streams,
            framed=wanted.framed and not stdio.terminal,
            keys=wanted.keys if stdio.terminal else b"",
        )
        self._clients.add(client)
        stdio.attach(client)
        client.start(wanted.early)
        if not wanted.stdin and not wanted.streams:
            client.end()

    def attach(self, wanted: Wanted) -> None:
        """Attach a client to the container."""
        if self.init is None or self.exit is not None:
            os.close(wanted.connection)
            raise NotFound(f"container {self.bundle.id} has ended")
        self.attach_to(self.init.stdio, wanted)

    def execute(
        self, exec_id: str, process: Spec, *, terminal: bool, stdin: bool, size: tuple[int, int], wanted: Wanted | None
    ) -> Process:
        """Start one more process. Raises StartFailure, or NotFound when the container has ended."""
        try:
            if self.init is None or self.init.code is not None or self._cgroup is None:
                raise NotFound(f"container {self.bundle.id} is not running")
            stdio = Stdio(self._loop, None, terminal=terminal, stdin=stdin, closes_stdin=True)
            try:
                fds = stdio.child_fds(discard=wanted is None)
                if wanted is not None:
                    owned, wanted = wanted, None
                    self.attach_to(stdio, owned)
                launched = execute(
                    self.init.pid,
                    bundle.read_spec(self._directory),
                    process,
                    cgroup=self._cgroup,
                    stdio=fds,
                    console_size=size,
                )
            except BaseException:
                stdio.release()
                raise
        finally:
            if wanted is not None:
                os.close(wanted.connection)
        started = Process(launched.pid, launched.pidfd, launched.started_at, stdio)
        self._processes[started.pid] = self.execs[exec_id] = started
        stdio.started(launched.console)
        return started

    def freeze(self, frozen: bool) -> None:
        """Stop or continue every process of the container."""
        if self._cgroup is None or self.exit is not None:
            raise NotFound(f"container {self.bundle.id} has ended")
        self._cgroup.freeze(frozen)
        self.frozen = frozen

    # ------------------------------------------------------------ ends

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            process = self._processes.pop(pid, None)
            if process is None:
                continue  # an orphan of the container, or a log's compression
            process.ended(status)
            if process is self.init:
                self._init_ended(process)
            else:
                self._exec_ended(process)

    def _exec_ended(self, process: Process) -> None:
        exec_id = next(key for key, value in self.execs.items() if value is process)

        def settle() -> None:
            if self._settling.pop(exec_id, None) is None:
                return
            # The daemon must know the code before the client sees the end and asks for it.
            self.control.tell(exec_event(exec_id, process))
            process.stdio.end_clients()

        self._settling[exec_id] = settle
        process.stdio.process_ended(settle)
        if exec_id in self._settling:
            self._loop.call_later(_EXEC_GRACE, settle)
        ended = [key for key, value in self.execs.items() if value.code is not None]
        for key in ended[:-_MAX_ENDED_EXECS]:
            del self.execs[key]

    def _init_ended(self, init: Process) -> None:
        made = self._cgroup
        assert made is not None and init.code is not None
        oom_killed = False
        try:
            if made.pids():
                made.kill()  # those that share the host's process ids outlive their init
                self._await_execs()
            oom_killed = made.oom_kills() > 0
        except (OSError, ScowError) as error:
            self.trouble(f"cgroup {self.bundle.cgroup}: {error}")
        for settle in tuple(self._settling.values()):
            settle()
        init.stdio.process_ended(_nothing)
        init.stdio.finish(time.time_ns())
        try:
            made.remove()
        except (OSError, ScowError) as error:
            self.trouble(f"cgroup {self.bundle.cgroup} cannot be removed: {error}")
        self.exit = ExitRecord(init.code, init.finished_at, oom_killed, init.pid, init.started_at)
        self._close_at = time.monotonic() + _LINGER
        self._loop.call_later(_LINGER, _nothing)
        self._record()
        self.control.tell(exit_event(self.exit))

    def _await_execs(self) -> None:
        """Processes that were killed just now: their ends come before the container's."""
        for _ in range(1000):
            self._reap()
            if not self._processes:
                return
            time.sleep(0.001)

    def _record(self) -> None:
        """Make the exit durable, now or as soon as it can be; until then `hello` tells it."""
        assert self.exit is not None
        if self._durable:
            return
        try:
            exit_record.write(self.bundle.exit_path, self.exit)
            self._durable = True
        except OSError as error:
            self.trouble(f"exit record: {error}")
            self._loop.call_later(_RETRY, self._record)

    def forget(self) -> None:
        """A daemon has recorded the exit elsewhere: it need not be durable here any more."""
        if self.exit is None:
            raise Internal(f"container {self.bundle.id} still runs")
        self._durable = True

    def trouble(self, text: str) -> None:
        """Note what went wrong for whoever looks into the task's directory."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(bundle.TROUBLE, flags, 0o600, dir_fd=self._directory)
            try:
                if os.fstat(fd).st_size < 1 << 20:
                    os.write(fd, f"{time.time_ns()} {text}\n".encode("utf-8", "backslashreplace"))
            finally:
                os.close(fd)
        except OSError:
            pass


class _Registration:
    """The Owner of a client: its stdio, and the monitor's own list that keeps the monitor alive for it."""

    def __init__(self, stdio: Stdio, clients: set[Client]) -> None:
        self._stdio = stdio
        self._clients = clients

    @property
    def wants_input(self) -> bool:
        return self._stdio.wants_input

    def feed(self, data: bytes) -> None:
        self._stdio.feed(data)

    def input_ended(self) -> None:
        self._stdio.input_ended()

    def client_changed(self) -> None:
        self._stdio.client_changed()

    def client_closed(self, client: Client) -> None:
        self._clients.discard(client)
        self._stdio.client_closed(client)


def exit_event(record: ExitRecord) -> wire.Message:
    """What daemons are told at the end."""
    return {
        "event": "exit",
        "code": record.code,
        "finished_at": record.finished_at,
        "oom_killed": record.oom_killed,
    }


def exec_event(exec_id: str, process: Process) -> wire.Message:
    """What daemons are told at an exec's end."""
    code = UNKNOWN if process.code is None else process.code
    return {"event": "exec", "exec": exec_id, "code": code, "finished_at": process.finished_at}


def _resources(spec: Spec) -> Spec:
    linux = spec.get("linux")
    resources = linux.get("resources") if isinstance(linux, dict) else None
    return resources if isinstance(resources, dict) else {}


def _nothing() -> None:
    pass

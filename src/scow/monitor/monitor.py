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
from scow.monitor.control import Answer, Control
from scow.monitor.exit_record import ExitRecord
from scow.monitor.loop import Loop
from scow.monitor.memory import MemoryWatch
from scow.monitor.process import UNKNOWN, Process
from scow.monitor.starter import Outcome, Started, Starter
from scow.monitor.starting import Steps
from scow.monitor.stdio import Stdio
from scow.oci.runtime import Spec

_MAX_ENDED_EXECS = 256
_EXEC_GRACE = 2.0  # Docker waits as long for output of what an exec left behind
_SPARE = 3.0
_ACKNOWLEDGE = 0.25
_RETRY = 1.0
_LINGER = 300.0
Dispatch = Callable[["Monitor", wire.Message, list[int], Answer], wire.Message | None]


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
    """Lifecycle: made, `prepare`, `start`, then `serve` until everything is over (at once when the start failed)."""

    def __init__(self, loop: Loop, dispatch: Dispatch, steps: Steps) -> None:
        self._loop = loop
        self._steps = steps
        self._directory = -1
        self._answer: Answer | None = None
        self.control = Control(
            loop, lambda message, fds, answer: dispatch(self, message, fds, answer), self._acknowledged
        )
        self.bundle: bundle.Bundle
        self._processes: dict[int, Process] = {}
        self._starters: list[Starter] = []
        self._spare: Starter | None = None
        self._exec_at = 0.0  # monotonic: when the last exec ended
        self._starting_execs: set[str] = set()
        self._abandoned: set[str] = set()
        self.execs: dict[str, Process] = {}
        self._settling: dict[str, Callable[[], None]] = {}
        self._unseen: dict[int, Stdio] = {}
        self._events = 0
        self.init: Process | None = None
        self._stdio: Stdio | None = None
        self.memory: MemoryWatch | None = None
        self.frozen = False
        self.exit: ExitRecord | None = None
        self.failed = False
        self._durable = False
        self._mounts = -1  # a namespace that is kept until the exit is told, see _keep_mounts
        self._clients: set[Client] = set()
        self._close_at = 0.0

    # ------------------------------------------------------------ start

    def prepare(self) -> None:
        """Do what can be done before it is known what to start: fork the starter of init, for one."""
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        self._loop.on_children(self._reap)
        self._starters.append(Starter(self._loop, self._steps.init(), self._launched))

    def start(self, directory: int, netns: int | None, attachments: list[Wanted], answer: Answer) -> None:
        """Begin to run the container; `answer` is told what comes of it. Raises ScowError, having left nothing."""
        (starter,) = self._starters
        self._directory, self._answer = directory, answer
        starter.send({"op": "init"}, (directory,) if netns is None else (directory, netns))
        try:
            task = self.bundle = bundle.read(directory)
            self.control.listen(directory)
            log = open_driver(task.log_driver, task.log_path, task.log_options, task.log_attributes)
            self._stdio = stdio = Stdio(
                self._loop, log, terminal=task.terminal, stdin=task.open_stdin, closes_stdin=task.stdin_once
            )
            fds = stdio.child_fds()
            for wanted in attachments:
                self._attach_to(stdio, wanted)
        except BaseException:
            starter.cancel()
            self.control.stop_listening()
            raise
        starter.send({"op": "go"}, fds or ())
        stdio.release_child()

    def _launched(self, outcome: Outcome) -> None:
        assert self._stdio is not None and self._answer is not None
        self._starters.pop(0)
        if isinstance(outcome, ScowError):
            self._stdio.finish(time.time_ns())
            self.failed = True
            self._answer.refuse(outcome)
        else:
            self.init = self._take(outcome, self._stdio)
            if not self.bundle.durable_exit:
                self._keep_mounts(outcome.pid)
            self._answer.give({"pid": outcome.pid, "started_at": outcome.started_at})
            told = {"event": "oom"}
            self.memory = MemoryWatch(self._loop, cgroup.open(self.bundle.cgroup), lambda: self.control.tell(told))
        self._answer = None

    def _take(self, started: Started, stdio: Stdio) -> Process:
        process = Process(started.pid, started.pidfd, started.started_at, stdio)
        self._processes[process.pid] = process
        stdio.started(started.console if started.console >= 0 else None)
        return process

    def serve(self) -> None:
        """Go on until the container has ended, its exit is recorded, and everybody has what is theirs."""
        while not self._over():
            self._loop.turn()
        self.control.close()
        for client in tuple(self._clients):
            client.close()
        self._loop.close()

    def _over(self) -> bool:
        if self.failed:
            return not self.control.busy
        if self.exit is None or not self._durable or self._starters:
            return False
        return not self._clients and not self.control.busy or time.monotonic() > self._close_at

    # ------------------------------------------------------------ clients and execs

    def _attach_to(self, stdio: Stdio, wanted: Wanted) -> None:
        """Attach a client; its descriptor is owned from here on."""
        try:
            connection = socket.SocketType(fileno=wanted.connection)
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
        if self._stdio is None or self.exit is not None or self.failed:
            os.close(wanted.connection)
            raise NotFound(f"container {self.bundle.id} has ended")
        self._attach_to(self._stdio, wanted)

    def knows(self, exec_id: str) -> bool:
        """Whether an exec of this id runs, has run, or is being started."""
        return exec_id in self.execs or exec_id in self._starting_execs

    def execute(
        self,
        exec_id: str,
        process: Spec,
        *,
        terminal: bool,
        stdin: bool,
        size: tuple[int, int],
        wanted: Wanted | None,
        answer: Answer,
    ) -> None:
        """Begin to start one more process; `answer` is told. Raises NotFound when the container has ended."""
        if self.init is None or self.init.code is not None:
            if wanted is not None:
                os.close(wanted.connection)
            raise NotFound(f"container {self.bundle.id} is not running")
        stdio = Stdio(self._loop, None, terminal=terminal, stdin=stdin, closes_stdin=True)

        def done(outcome: Outcome) -> None:
            self._starters.remove(starter)
            self._starting_execs.discard(exec_id)
            if isinstance(outcome, ScowError):
                self._abandoned.discard(exec_id)
                stdio.release()
                answer.refuse(outcome)
            else:
                self.execs[exec_id] = self._take(outcome, stdio)
                if exec_id in self._abandoned:
                    self._abandoned.discard(exec_id)
                    self.execs[exec_id].signal(9, group=True)
                answer.give({"pid": outcome.pid, "started_at": outcome.started_at})

        try:
            fds = stdio.child_fds(discard=wanted is None)
            if wanted is not None:
                self._attach_to(stdio, wanted)
            starter = self._exec_starter(done)
        except BaseException:
            stdio.release()
            raise
        self._starters.append(starter)
        self._starting_execs.add(exec_id)
        starter.send({"op": "exec", "process": process, "size": list(size)}, fds or ())
        stdio.release_child()

    def abandon(self, exec_id: str) -> None:
        """Nobody waits for this start any more: what comes of it is ended."""
        if exec_id in self._starting_execs:
            self._abandoned.add(exec_id)
        elif exec_id in self.execs and self.execs[exec_id].code is None:
            self.execs[exec_id].signal(9, group=True)

    def _exec_starter(self, done: Callable[[Outcome], None]) -> Starter:
        """The one in reserve, or a new one."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.adopt(done):
            return spare
        assert self.init is not None
        return Starter(self._loop, self._steps.execute(self._directory, self.bundle, self.init.pid), done)

    def _keep_spare(self) -> None:
        """Execs often come one after the other: the next one's starter is forked already, and waits for a while. After
        a single one, such as a health check, nothing is kept.
        """
        before, self._exec_at = self._exec_at, time.monotonic()
        if self._exec_at - before > _SPARE:
            return
        if self._spare is None and self.init is not None and self.exit is None and not self.frozen:
            work = self._steps.execute(self._directory, self.bundle, self.init.pid)
            self._spare = spare = Starter(self._loop, work, _spare_failed)
            self._loop.call_later(_SPARE, lambda: self._drop_spare(spare))

    def _drop_spare(self, spare: Starter) -> None:
        if self._spare is spare:
            self._spare = None
            spare.cancel()

    def freeze(self, frozen: bool) -> None:
        """Stop or continue every process of the container."""
        if self.init is None or self.exit is not None:
            raise NotFound(f"container {self.bundle.id} has ended")
        cgroup.open(self.bundle.cgroup).freeze(frozen)
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
            if pid not in self._processes:
                for starter in tuple(self._starters):
                    starter.poll()  # it told us of this process before the process could become ours
            process = self._processes.pop(pid, None)
            if process is None:
                continue  # a starter, an orphan of the container, a log's compression
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
            # The daemon must have taken the code before the client sees the end and asks for it.
            self._events += 1
            number = self._events
            self._unseen[number] = process.stdio
            self.control.tell({**exec_event(exec_id, process), "number": number})
            if self.control.connected and self.exit is None:
                self._loop.call_later(_ACKNOWLEDGE, lambda: self._acknowledged(number))
            else:
                self._acknowledged(number)
            self._keep_spare()

        self._settling[exec_id] = settle
        process.stdio.process_ended(settle)
        if exec_id in self._settling:
            self._loop.call_later(_EXEC_GRACE, settle)
        ended = [key for key, value in self.execs.items() if value.code is not None]
        for key in ended[:-_MAX_ENDED_EXECS]:
            del self.execs[key]

    def _acknowledged(self, number: int) -> None:
        stdio = self._unseen.pop(number, None)
        if stdio is not None:
            stdio.end_clients()

    def _init_ended(self, init: Process) -> None:
        if self._spare is not None:
            self._drop_spare(self._spare)
        made = cgroup.open(self.bundle.cgroup)
        assert init.code is not None
        oom_killed = False
        try:
            if made.pids():
                made.kill()  # those that share the host's process ids outlive their init
                self._await_execs()
            if self.memory is not None:
                self.memory.look()
                self.memory.close()
            oom_killed = made.oom_kills() > 0
        except (OSError, ScowError) as error:
            self.trouble(f"cgroup {self.bundle.cgroup}: {error}")
        for settle in tuple(self._settling.values()):
            settle()
        init.stdio.process_ended(_nothing)
        init.stdio.finish(time.time_ns())
        self.exit = ExitRecord(init.code, init.finished_at, oom_killed, init.pid, init.started_at)
        self._close_at = time.monotonic() + _LINGER
        self._loop.call_later(_LINGER, _nothing)
        self._record()  # first: an external runtime takes its time to let go, and a monitor that is silent may be killed
        if self.bundle.durable_exit:  # the container can be started again: nothing of this run must be in its way
            self._remove(made)
        self.control.tell(exit_event(self.exit))
        if not self.bundle.durable_exit:
            self._remove(made)
            self._let_mounts_go()

    def _remove(self, made: cgroup.Cgroup) -> None:
        try:
            self._steps.release(self._directory, self.bundle)
        except (OSError, ScowError) as error:
            self.trouble(f"the runtime does not let go of the container: {error}")
        try:
            made.remove()
        except (OSError, ScowError) as error:
            self.trouble(f"cgroup {self.bundle.cgroup} cannot be removed: {error}")

    def _keep_mounts(self, pid: int) -> None:
        """The last process to leave a mount namespace takes its mounts down before its end is seen, and overlayfs then
        waits for the disk: 0.5 to 20 ms. Held here, that is done when everybody has been told.
        """
        try:
            self._mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # it has ended already

    def _let_mounts_go(self) -> None:
        if self._mounts >= 0:
            os.close(self._mounts)
            self._mounts = -1

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
            exit_record.write(self.bundle.exit_path, self.exit, durable=self.bundle.durable_exit)
            self._durable = True
        except FileNotFoundError:  # the container's directory is gone, and with it whoever would ask for its exit
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

    @property
    def keeps_clients(self) -> bool:
        return self._stdio.keeps_clients

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


def _nothing() -> None:
    pass


def _spare_failed(_: Outcome) -> None:
    """A starter in reserve that could not wait: `adopt` will notice."""

"""Handles of running tasks and execs: what the engine's ports Task and ExecTask promise."""

import asyncio
import binascii
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scow.background import spawn
from scow.errors import NotFound, ScowError, Timeout
from scow.linux import cgroup
from scow.model.task import Attachment, ExitStatus
from scow.monitor.bundle import Bundle
from scow.oci.runtime import Process
from scow.supervisor.connection import Connection, Lost, Reply
from scow.supervisor.directory import TaskDirectory

_log = logging.getLogger("scow.supervisor")
UNKNOWN = 255
_TIDYING = 10.0  # s
_PATIENCE = 5.0  # seconds for what a monitor does at once
_LONGEST = 60.0  # seconds for the start of an exec, while its monitor answers other questions
_TURNS = 6  # of the loop, in which a waiter and whoever waits for it go on


class RunningExec:
    """An exec in a running container."""

    def __init__(self, task: "RunningTask", exec_id: str, pid: int) -> None:
        self._task = task
        self._exec_id = exec_id
        self._pid = pid
        self.exit: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        return self._pid

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self.exit)

    async def resize(self, height: int, width: int) -> None:
        await self._task.promptly({"op": "resize", "exec": self._exec_id, "height": height, "width": width})

    async def kill(self) -> None:
        await self._task.promptly({"op": "signal", "exec": self._exec_id, "number": 9, "group": True})


class RunningTask:
    """A container with a live monitor. `on_lost` is called when the monitor's connection breaks before its exit."""

    def __init__(
        self,
        container_id: str,
        directory: TaskDirectory,
        bundle: Bundle,
        on_lost: "Callable[[RunningTask], None]",
    ) -> None:
        self.id = container_id
        self.directory = directory
        self.cgroup_path = bundle.cgroup
        self.exit_path = bundle.exit_path
        self.external = bool(bundle.runtime)
        self.exit: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._pid = 0
        self._started_at = 0
        self._on_lost = on_lost
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._on_oom: Callable[[], None] | None = None
        self._oom_kills = 0
        self.frozen: bool | None = None
        self._cgroup: cgroup.Cgroup | None = None
        self._execs: dict[str, RunningExec] = {}
        self._early_exits: dict[str, ExitStatus] = {}

    # ------------------------------------------------------------ life, for the supervisor

    def connected(self, connection: Connection, *, pid: int, started_at: int) -> None:
        """The monitor is at the other end of `connection` and its container runs."""
        self._connection = connection
        self._pid, self._started_at = pid, started_at
        connection.handle(self._event, self._disconnected)
        self._connected.set()
        if connection.closed:
            self._disconnected()

    def presume(self, pid: int, started_at: int) -> None:
        """What is known of a container whose monitor does not answer yet."""
        self._pid, self._started_at = pid, started_at

    def take_hello(self, hello: Reply) -> None:
        """Bring this handle up to what a monitor says of itself."""
        self.frozen = bool(hello.get("frozen"))
        for item in hello.get("execs", ()):
            exec_id, pid, ended = item["exec"], item["pid"], item["exit"]
            if ended is not None:
                if exec_id in self._execs:  # others are of no interest to anybody any more
                    self._event(ended)
            elif exec_id not in self._execs:
                self._execs[exec_id] = RunningExec(self, exec_id, pid)
        for _ in range(int(hello.get("oom_kills", 0)) - self._oom_kills):
            self._event({"event": "oom"})
        if hello.get("exit") is not None:
            self._event(hello["exit"])

    def ended(self, status: ExitStatus) -> None:
        """The container has ended: wake all waiters. The first call counts."""
        if self.exit.done():
            return
        self.exit.set_result(status)
        for running in self._execs.values():
            if not running.exit.done():
                running.exit.set_result(ExitStatus(UNKNOWN, status.finished_at))
        self._execs.clear()
        self._connected.set()

    def close(self) -> None:
        """Let go of connection and directory; the container is not touched."""
        if self._connection is not None:
            self._connection.close()
        self.directory.close()

    async def settled(self) -> None:
        """Wait until the monitor has tidied up, which it may do after it has told the end: then it answers again."""
        if self._connection is not None:
            with contextlib.suppress(ScowError, asyncio.TimeoutError):
                await asyncio.wait_for(self._connection.request({"op": "hello"}), _TIDYING)

    def forgotten(self) -> None:
        """The exit is recorded elsewhere: the monitor need not keep it."""
        if self._connection is not None:
            self._connection.post({"op": "forget", "id": 0})

    def _disconnected(self) -> None:
        self._connected.clear()
        if not self.exit.done():
            self._on_lost(self)

    def _event(self, message: Reply) -> None:
        kind = message.get("event")
        if kind == "exit":
            self.ended(
                ExitStatus(int(message["code"]), int(message["finished_at"]), bool(message.get("oom_killed", False)))
            )
        elif kind == "oom":
            self._oom_kills += 1
            if self._on_oom is not None:
                self._on_oom()
        elif kind == "exec":
            exec_id, status = str(message["exec"]), ExitStatus(int(message["code"]), int(message["finished_at"]))
            running = self._execs.pop(exec_id, None)
            if running is None:
                self._early_exits[exec_id] = status
            elif not running.exit.done():
                running.exit.set_result(status)
            number = message.get("number")
            if type(number) is int:
                asyncio.get_running_loop().call_soon(self._acknowledge, number, _TURNS)

    def _acknowledge(self, number: int, turns: int) -> None:
        """Tell the monitor that the end of an exec is known, once those who wait for it have run."""
        if turns:
            asyncio.get_running_loop().call_soon(self._acknowledge, number, turns - 1)
        elif self._connection is not None:
            self._connection.post({"ack": number})

    async def request(self, message: Reply, packets: Sequence[Sequence[int]] = ()) -> Reply:
        """Ask the monitor. NotFound when the container has ended."""
        if self.exit.done():
            raise NotFound(f"container {self.id} has ended")
        await self._connected.wait()
        if self.exit.done() or self._connection is None:
            raise NotFound(f"container {self.id} has ended")
        try:
            return await self._connection.request(message, packets)
        except Lost:
            if self.exit.done():
                raise NotFound(f"container {self.id} has ended") from None
            raise

    # ------------------------------------------------------------ engine.ports.Task

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def started_at(self) -> int:
        return self._started_at

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self.exit)

    async def promptly(self, message: Reply, packets: Sequence[Sequence[int]] = ()) -> Reply:
        """A request that takes no time. Timeout when the monitor does not answer it."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self.request(message, packets)
        except TimeoutError:
            raise Timeout(f"the monitor of container {self.id} does not answer") from None

    async def _patiently(self, message: Reply, packets: Sequence[Sequence[int]]) -> Reply:
        """A request that takes as long as it takes. Timeout when the monitor answers nothing else meanwhile."""
        loop = asyncio.get_running_loop()
        watching: list[asyncio.Task[None]] = []
        limit = asyncio.timeout(_LONGEST)
        # most are answered at once: what looks after the others costs those no task
        timer = loop.call_later(
            _PATIENCE, lambda: watching.append(spawn(self._look_after(limit), f"exec-in-{self.id[:12]}", awaited=True))
        )
        try:
            async with limit:
                return await self.request(message, packets)
        except TimeoutError:
            silent = bool(watching) and watching[0].done()
            what = "does not answer" if silent else f"has not started the command within {_LONGEST:.0f} seconds"
            raise Timeout(f"the monitor of container {self.id} {what}") from None
        finally:
            timer.cancel()
            for task in watching:
                task.cancel()

    async def _look_after(self, limit: asyncio.Timeout) -> None:
        """Ends what `limit` is for when the monitor answers nothing."""
        try:
            while True:
                await self.promptly({"op": "hello"})
                await asyncio.sleep(_PATIENCE)
        except ScowError:
            limit.reschedule(asyncio.get_running_loop().time())

    async def answers(self) -> None:
        await self.promptly({"op": "hello"})

    async def signal(self, number: int) -> None:
        try:
            await self.promptly({"op": "signal", "number": number})
        except Timeout:
            if number != 9:
                raise
            _log.error("the monitor of container %s does not answer: it is ended, and the container with it", self.id)
            self.directory.end_monitor()  # whose end is noticed, and ends what it has watched over

    async def freeze(self, frozen: bool) -> None:
        try:
            await self.promptly({"op": "freeze", "frozen": frozen, "until": _until()})
            self.frozen = frozen
        except BaseException:
            if frozen and not self.exit.done():  # it may be done late, when nobody counts on it any more
                spawn(self.request({"op": "freeze", "frozen": False}), f"thaw-{self.id[:12]}")
            raise

    async def resize(self, height: int, width: int) -> None:
        await self.promptly({"op": "resize", "height": height, "width": width})

    async def attach(self, attachment: Attachment) -> None:
        message = {"op": "attach", "attachment": attachment_fields(attachment), "until": _until()}
        await self.promptly(message, [[attachment.connection.fileno()]])

    async def exec(
        self, exec_id: str, process: Process, terminal: bool, attachment: Attachment | None, stdin: bool
    ) -> RunningExec:
        message: dict[str, Any] = {
            "op": "exec",
            "exec": exec_id,
            "process": process,
            "terminal": terminal,
            "stdin": stdin,
            "attachment": None if attachment is None else attachment_fields(attachment),
            "until": _until(),
        }
        packets = [] if attachment is None else [[attachment.connection.fileno()]]
        try:
            reply = await self._patiently(message, packets)
        except (Timeout, asyncio.CancelledError):
            if self._connection is not None:
                self._connection.post({"op": "abandon", "exec": exec_id, "id": 0})
            raise
        running = RunningExec(self, exec_id, int(reply["pid"]))
        ended = self._early_exits.pop(exec_id, None)
        if ended is None and self.exit.done():
            ended = ExitStatus(UNKNOWN, self.exit.result().finished_at)
        if ended is not None:
            running.exit.set_result(ended)
        else:
            self._execs[exec_id] = running
        return running

    def execs(self) -> list[tuple[str, RunningExec]]:
        return list(self._execs.items())

    async def pids(self) -> list[int]:
        if self.exit.done():
            raise NotFound(f"container {self.id} has ended")
        return cgroup.open(self.cgroup_path).pids()

    def on_oom(self, call: Callable[[], None]) -> int:
        self._on_oom = call
        return self._oom_kills

    async def limit(self, resources: Mapping[str, Any]) -> None:
        if self.exit.done():
            raise NotFound(f"container {self.id} has ended")
        try:
            await asyncio.to_thread(cgroup.open(self.cgroup_path).update, resources)
        except FileNotFoundError:
            raise NotFound(f"container {self.id} has ended") from None

    def figures(self) -> tuple[int, dict[str, Any]]:
        if self._cgroup is None:
            self._cgroup = cgroup.open(self.cgroup_path)
        return self._cgroup.version, self._cgroup.stats()


def _until() -> float:
    """When a monitor that wakes up late need not do any more what it was asked (CLOCK_MONOTONIC is everybody's)."""
    return time.monotonic() + _PATIENCE


def attachment_fields(attachment: Attachment) -> Reply:
    """An Attachment without its connection, as the monitor reads it."""
    return {
        "stdin": attachment.stdin,
        "stdout": attachment.stdout,
        "stderr": attachment.stderr,
        "framed": attachment.framed,
        "early": _base64(attachment.early),
        "keys": _base64(attachment.detach_keys),
    }


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")

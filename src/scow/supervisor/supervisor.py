"""The supervisor: engine.ports.Supervisor over zygote, monitors and task directories."""

import asyncio
import logging
import os
import socket
from collections.abc import Sequence

from scow.background import spawn
from scow.errors import Conflict, ScowError, Unavailable
from scow.model.task import ExitStatus, TaskSpec
from scow.monitor import exit_record, wire
from scow.monitor.bundle import CONFIG
from scow.supervisor import adoption
from scow.supervisor import directory as directories
from scow.supervisor.connection import Connection, Lost, Reply, encode
from scow.supervisor.directory import TaskDirectory
from scow.supervisor.filters import NAME as FILTER
from scow.supervisor.filters import Filters
from scow.supervisor.task import RunningTask, attachment_fields
from scow.supervisor.zygote import Zygote

_log = logging.getLogger("scow.supervisor")
_ADOPTIONS_AT_ONCE = 16
_ATTEMPTS = 3


class _NeverForked(Unavailable):
    """The zygote died before it made the monitor: nothing has happened."""


def open_supervisor(*, exec_root: str, data_root: str) -> "Supervisor":
    """A supervisor of the tasks in <exec_root>/tasks; nothing runs yet."""
    return Supervisor(exec_root, data_root=data_root)


class Supervisor:
    """See engine.ports.Supervisor."""

    def __init__(self, exec_root: str, *, data_root: str, zygote: Zygote | None = None) -> None:
        self._root = f"{exec_root}/tasks"
        self._zygote = zygote or Zygote()
        self._filters = Filters(f"{data_root}/seccomp")
        self._tasks: dict[str, RunningTask] = {}
        self._closing = False

    @property
    def zygote_pid(self) -> int:
        """The zygote's process id, 0 while there is none."""
        return self._zygote.pid

    async def start(self) -> None:
        os.makedirs(self._root, 0o700, exist_ok=True)
        os.chmod(self._root, 0o700)
        self._zygote.start()

    async def close(self) -> None:
        self._closing = True
        for task in self._tasks.values():
            task.close()
        self._zygote.close()
        await self._zygote.ended()

    async def spawn(self, spec: TaskSpec) -> RunningTask:
        old = self._tasks.get(spec.id)
        if old is not None:
            if not old.exit.done():
                raise Conflict(f"container {spec.id} is running already")
            old.close()
            del self._tasks[spec.id]
        for attempt in range(1, _ATTEMPTS + 1):
            starting = spawn(self._start(spec), f"start-{spec.id[:12]}", awaited=True)
            try:
                return await asyncio.shield(starting)
            except _NeverForked:
                if attempt == _ATTEMPTS:
                    raise
            except asyncio.CancelledError:
                spawn(self._abandon(starting), f"abandon-{spec.id[:12]}")
                raise
            await self._zygote.ready()
        raise AssertionError("unreachable")

    async def _start(self, spec: TaskSpec) -> RunningTask:
        """One attempt, never cancelled half-way: either the task runs or nothing is left of it."""
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise Unavailable(f"cannot start a monitor: {error.strerror}") from error
        connection = Connection(ours)
        forking = spawn(self._zygote.fork(theirs), f"fork-{spec.id[:12]}", awaited=True)
        await asyncio.sleep(0)  # the request goes out: the zygote forks while the directory is made
        try:
            document, program = spec.spec, b""
            if not spec.runtime:
                document, program = await self._filters.take(document, f"{self._root}/{spec.id}/{FILTER}")
            directory = TaskDirectory.create(self._root, spec, {CONFIG: encode(document), FILTER: program})
        except BaseException:
            connection.close()
            raise
        task = RunningTask(spec.id, directory, directories.bundle_of(spec), self._monitor_lost)
        try:
            reply = await self._ask_start(connection, forking, directory, spec)
        except BaseException as error:
            connection.close()
            directory.close()
            if isinstance(error, Unavailable):  # the monitor did not undo it itself
                await asyncio.to_thread(adoption.bury, task.cgroup_path)
            directories.remove(directory.path)
            raise
        directory.release_lock()
        self._tasks[spec.id] = task
        task.connected(connection, pid=int(reply["pid"]), started_at=int(reply["started_at"]))
        return task

    async def _ask_start(
        self, connection: Connection, forking: "asyncio.Task[int]", directory: TaskDirectory, spec: TaskSpec
    ) -> Reply:
        try:
            return await connection.request(*_start_message(directory, spec))
        except Lost:
            try:
                await forking
            except Lost as error:
                raise _NeverForked("the zygote has died") from error
            raise Unavailable(f"the monitor of container {spec.id} has died at its start") from None

    async def _abandon(self, starting: "asyncio.Task[RunningTask]") -> None:
        """Whoever wanted the task does not want it any more."""
        try:
            task = await starting
            await task.signal(9)
        except ScowError:
            return
        await task.wait()
        await self.forget(task.id)

    # ------------------------------------------------------------ monitors that were not started here, or were lost

    async def adopt(self) -> dict[str, RunningTask | ExitStatus]:
        gate = asyncio.Semaphore(_ADOPTIONS_AT_ONCE)

        async def one(name: str) -> RunningTask | None:
            async with gate:
                return await adoption.adopt(f"{self._root}/{name}", self._monitor_lost)

        names = [name for name in sorted(os.listdir(self._root)) if name not in self._tasks]
        result: dict[str, RunningTask | ExitStatus] = {}
        for name, task in zip(names, await asyncio.gather(*map(one, names)), strict=True):
            if task is not None:
                self._tasks[name] = task
                result[name] = task.exit.result() if task.exit.done() else task
        return result

    def _monitor_lost(self, task: RunningTask) -> None:
        if not self._closing:
            spawn(self._settle_lost(task), f"lost-{task.id[:12]}")

    async def _settle_lost(self, task: RunningTask) -> None:
        if not await adoption.reconnect(task):
            await adoption.settle(task)

    async def forget(self, container_id: str, *, settled: bool = False) -> None:
        path = f"{self._root}/{container_id}"
        task = self._tasks.pop(container_id, None)
        if task is not None:
            record: str | None = task.exit_path
            if settled or task.external:  # its runtime still looks for its own in the task's directory
                await task.settled()
            task.forgotten()
            task.close()
        else:
            record = directories.exit_path(path)
        directories.remove(path)
        if record is not None:
            exit_record.remove(record)


def _start_message(directory: TaskDirectory, spec: TaskSpec) -> tuple[Reply, list[list[int]]]:
    """What the monitor waits for, and its descriptors in packets; see monitor.main for their order."""
    fds = [directory.fd, directory.lock]
    if spec.netns is not None:
        fds.append(spec.netns)
    fds += [attachment.connection.fileno() for attachment in spec.attachments]
    fds += [kept.fileno() for kept in spec.keep]
    message: Reply = {
        "op": "start",
        "fds": len(fds),
        "netns": spec.netns is not None,
        "attachments": [attachment_fields(attachment) for attachment in spec.attachments],
    }
    packets: Sequence[Sequence[int]] = [fds[i : i + wire.MAX_FDS] for i in range(0, len(fds), wire.MAX_FDS)]
    return message, [list(packet) for packet in packets]

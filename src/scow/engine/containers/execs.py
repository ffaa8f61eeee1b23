"""Exec: one more process in a running container."""

import asyncio
import secrets
import socket
import struct
from dataclasses import replace

from scow.background import idle, spawn
from scow.engine.containers import happenings
from scow.engine.containers.attach import detach_sequence, hang_up
from scow.engine.context import Engine
from scow.engine.networks import links
from scow.engine.ports import Attachment, ExecTask
from scow.engine.registry import Entry, ExecEntry
from scow.engine.spec import build
from scow.errors import Conflict, InvalidArgument, ScowError
from scow.model.execution import Exec, ExecConfig

_MAXIMUM = 10_000  # ended execs that are remembered for one container


async def create(engine: Engine, name: str, config: ExecConfig) -> str:
    """A new exec's id. Conflict unless the container runs."""
    entry = engine.containers.find(name)
    if not config.cmd:
        raise InvalidArgument("No exec command specified")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    detach_sequence(config.detach_keys)
    await entry.settled()
    _require_running(entry, name)
    _forget_old(engine, entry)
    record = Exec(secrets.token_hex(32), entry.container.id, config)
    engine.containers.add_exec(entry, record)
    happenings.publish(engine, entry.container, f"exec_create: {' '.join(config.cmd)}", execID=record.id)
    return record.id


def get(engine: Engine, exec_id: str) -> Exec:
    """As it is now."""
    return engine.containers.find_exec(exec_id)[1].record


async def resize(engine: Engine, exec_id: str, height: int, width: int) -> None:
    """Conflict when it does not run."""
    _, item = engine.containers.find_exec(exec_id)
    if item.task is None:
        raise Conflict(f"exec process {exec_id} is not started")
    await item.task.resize(height, width)


class Starting:
    """A checked start that waits for its connection."""

    def __init__(self, engine: Engine, entry: Entry, item: ExecEntry, console_size: tuple[int, int] | None) -> None:
        self._engine, self._entry, self._item, self._console_size = engine, entry, item, console_size

    @property
    def tty(self) -> bool:
        return self._item.record.config.tty

    async def connect(self, connection: socket.socket, early: bytes = b"") -> None:
        """Start it on the connection. A command that cannot be run is told on the stream, as Docker does."""
        config = self._item.record.config
        attachment = Attachment(
            connection=connection,
            stdin=config.attach_stdin,
            stdout=config.attach_stdout,
            stderr=config.attach_stderr,
            framed=not config.tty,
            early=early,
            detach_keys=detach_sequence(config.detach_keys),
        )
        try:
            await _run(self._engine, self._entry, self._item, attachment, self._console_size)
        except ScowError as error:
            text = error.message.encode() + b"\r\n"
            frame = text if config.tty else struct.pack(">BxxxL", 1, len(text)) + text
            connection.setblocking(False)
            try:
                await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(connection, frame), 5)
            except (OSError, TimeoutError):
                pass
            hang_up(connection)
        finally:
            connection.close()


async def start(
    engine: Engine, exec_id: str, detach: bool, tty: bool, console_size: tuple[int, int] | None = None
) -> Starting:
    """With `detach` it runs when this returns; else the caller hands the connection to `Starting.connect`."""
    entry, item = engine.containers.find_exec(exec_id)
    if item.record.exit_code is not None:
        raise Conflict(f"exec command {exec_id} has already run")
    if item.record.running:
        raise Conflict(f"exec command {exec_id} is already running")
    _require_running(entry, entry.container.id)
    links.environment(engine, entry.container)  # what is linked must run: said before the connection is the exec's
    starting = Starting(engine, entry, item, console_size)
    if detach:
        await _run(engine, entry, item, None, console_size)
    return starting


async def run_alone(engine: Engine, entry: Entry, config: ExecConfig, output: socket.socket) -> int:
    """The engine's own exec: its output, unframed, goes to `output`, its exit code comes back, and it is forgotten.

    While it runs it is `entry.check_task`.
    """
    exec_id = await create(engine, entry.container.id, config)
    item = entry.execs[exec_id]
    attachment = Attachment(output, stdin=False, stdout=True, stderr=True, framed=False)
    try:
        watching = await _run(engine, entry, item, attachment, None)
        entry.check_task = item.task
        await asyncio.shield(watching)
        return -1 if item.record.exit_code is None else item.record.exit_code
    finally:
        entry.check_task = None
        engine.containers.drop_exec(entry, exec_id)


async def _run(
    engine: Engine, entry: Entry, item: ExecEntry, attachment: Attachment | None, console_size: tuple[int, int] | None
) -> "asyncio.Task[None]":
    """Start it; the task that is given tells of its end."""
    config, container, task = item.record.config, entry.container, entry.task
    if item.record.running or item.record.exit_code is not None:
        raise Conflict(f"exec command {item.record.id} is already running")
    if task is None:
        raise Conflict(f"container {container.id} is not running")
    process = build.exec_process(
        container,
        config.cmd,
        user=config.user,
        tty=config.tty,
        env=config.env,
        cwd=config.working_dir,
        privileged=config.privileged,
        linked=links.environment(engine, container),
    )
    if console_size and any(console_size):
        process["consoleSize"] = {"height": console_size[0], "width": console_size[1]}
    item.record = replace(item.record, running=True)
    try:
        item.task = await task.exec(item.record.id, process, config.tty, attachment, config.attach_stdin)
    except ScowError:
        # whatever the reason, as Docker: also a command that is not found is 126 here, not 127
        item.record = replace(item.record, running=False, exit_code=126)
        raise
    except BaseException:
        item.record = replace(item.record, running=False)
        raise
    item.record = replace(item.record, pid=item.task.pid)
    happenings.publish(engine, container, f"exec_start: {' '.join(config.cmd)}", execID=item.record.id)
    return spawn(_watch(engine, entry, item, item.task), f"exec-{item.record.id[:12]}")


async def _watch(engine: Engine, entry: Entry, item: ExecEntry, task: ExecTask) -> None:
    status = await idle(task.wait())
    item.record = replace(item.record, running=False, exit_code=status.code, pid=0)
    item.task = None
    happenings.publish(engine, entry.container, "exec_die", execID=item.record.id, exitCode=str(status.code))


def adopt(engine: Engine, entry: Entry, exec_id: str, task: ExecTask) -> None:
    """An exec that an earlier daemon started and that still runs. What was asked for is known no more."""
    record = Exec(exec_id, entry.container.id, ExecConfig(cmd=("",)), running=True, pid=task.pid)
    item = engine.containers.add_exec(entry, record)
    item.task = task
    spawn(_watch(engine, entry, item, task), f"exec-{exec_id[:12]}")


def _forget_old(engine: Engine, entry: Entry) -> None:
    if len(entry.execs) > _MAXIMUM:
        engine.containers.drop_execs(entry)


def _require_running(entry: Entry, name: str) -> None:
    state = entry.container.status.state
    if state == "paused":
        raise Conflict(f"Container {name} is paused, unpause the container before exec")
    if state == "restarting":
        raise Conflict(f"Container {entry.container.id} is restarting, wait until the container is running")
    if entry.task is None:
        raise Conflict(f"container {entry.container.id} is not running")

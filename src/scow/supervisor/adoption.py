"""Finding out what became of a task whose monitor this daemon did not start, or has lost."""

import asyncio
import logging
import os
import time
from collections.abc import Callable

from scow.errors import DataLoss, ScowError
from scow.linux import cgroup
from scow.model.task import ExitStatus
from scow.monitor import exit_record
from scow.monitor.exit_record import ExitRecord
from scow.supervisor import directory as directories
from scow.supervisor.connection import Connection, Reply
from scow.supervisor.directory import TaskDirectory
from scow.supervisor.task import UNKNOWN, RunningTask

_log = logging.getLogger("scow.supervisor")
_PATIENCE = 10.0


async def adopt(path: str, on_lost: Callable[[RunningTask], None]) -> RunningTask | None:
    """The task in the directory `path`: alive, or ended (its `exit` is done). None when it never ran: it is undone."""
    try:
        directory = TaskDirectory.open_existing(path)
    except OSError:
        _remove_stray(path)
        return None
    try:
        bundle = directory.read()
    except DataLoss:
        directory.close()
        directories.remove(path)
        return None
    task = RunningTask(os.path.basename(path), directory, bundle.cgroup, bundle.exit_path, on_lost)
    if await reconnect(task):
        return task
    if exit_record.read(bundle.exit_path) is None and not directory.started():
        directory.close()
        await asyncio.to_thread(bury, bundle.cgroup)
        directories.remove(path)
        return None
    await settle(task)
    return task


async def reconnect(task: RunningTask) -> bool:
    """Connect to the task's monitor if it lives. False when it is dead or does not answer."""
    deadline = time.monotonic() + _PATIENCE
    while task.directory.alive():
        if time.monotonic() > deadline:
            _log.error("the monitor of container %s does not answer", task.id)
            return False
        try:
            peer = task.directory.connect()
        except OSError:
            await asyncio.sleep(0.02)
            continue
        connection = Connection(peer)
        try:
            hello: Reply = await asyncio.wait_for(connection.request({"op": "hello"}), _PATIENCE)
        except (ScowError, TimeoutError):
            connection.close()
            await asyncio.sleep(0.02)
            continue
        task.take_hello(hello)
        task.connected(connection, pid=int(hello["pid"]), started_at=int(hello["started_at"]))
        return True
    return False


async def settle(task: RunningTask) -> None:
    """The monitor is dead: take the exit from its record, or end the container and say that nobody knows."""
    record = exit_record.read(task.exit_path)
    if record is None:
        _log.error("the monitor of container %s was killed: ending the container", task.id)
        await asyncio.to_thread(bury, task.cgroup_path)
        record = ExitRecord(UNKNOWN, time.time_ns())
        try:
            await asyncio.to_thread(exit_record.write, task.exit_path, record)
        except OSError as error:
            _log.error("exit record of container %s: %s", task.id, error)
    task.ended(ExitStatus(record.code, record.finished_at, record.oom_killed))


def bury(cgroup_path: str) -> None:
    """Kill every process in a cgroup and remove it. Blocks; never raises for what is gone already."""
    try:
        found = cgroup.open(cgroup_path)
        found.kill()
        found.remove()
    except FileNotFoundError:
        pass
    except (OSError, ScowError) as error:
        _log.error("cgroup %s: %s", cgroup_path, error)


def _remove_stray(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        _log.warning("%s is no task directory: %s", path, error.strerror)

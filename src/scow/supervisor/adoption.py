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
_HASTE = 1.0  # at the start of the daemon, for each of those that wait at once
_SHORTEST, _LONGEST = 0.02, 1.0


async def adopt(path: str, on_lost: Callable[[RunningTask], None]) -> RunningTask | None:
    """The task in the directory `path`: alive, or ended (its `exit` is done). None when it never ran: it is undone.

    One whose monitor stands still (SIGSTOP, a disk that does not answer) is alive, by what is written of it; its monitor
    is spoken to when it goes on.
    """
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
    task = RunningTask(os.path.basename(path), directory, bundle, on_lost)
    written = directory.read_started()
    if await reconnect(task, _PATIENCE if written is None else _HASTE):
        return task
    if written is not None and directory.alive():
        _log.error("the monitor of container %s does not answer", task.id)
        task.presume(*written)
        on_lost(task)
        return task
    if exit_record.read(bundle.exit_path) is None and not directory.started():
        directory.close()
        await asyncio.to_thread(bury, bundle.cgroup)
        directories.remove(path)
        return None
    await settle(task)
    return task


async def reconnect(task: RunningTask, patience: float | None = None) -> bool:
    """Connect to the task's monitor, as long as it lives. False when it is dead, or has not answered for `patience` s."""
    deadline = None if patience is None else time.monotonic() + patience
    pause = _SHORTEST
    while task.directory.alive():
        if deadline is not None and time.monotonic() > deadline:
            return False
        try:
            peer = task.directory.connect()
        except OSError:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)
            continue
        connection = Connection(peer)
        try:
            hello: Reply = await asyncio.wait_for(connection.request({"op": "hello"}), patience)
        except (ScowError, TimeoutError):
            connection.close()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)
            continue
        except BaseException:
            connection.close()
            raise
        task.take_hello(hello)
        task.connected(connection, pid=int(hello["pid"]), started_at=int(hello["started_at"]))
        return True
    return False


async def settle(task: RunningTask) -> None:
    """The monitor is dead: take the exit from its record, or end the container and say that nobody knows."""
    record = exit_record.read(task.exit_path)
    if record is None:
        _log.error("the monitor of container %s was killed: ending the container", task.id)
    await asyncio.to_thread(bury, task.cgroup_path)  # with a record, too: it may have been killed while it tidied up
    if record is None:
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

"""Start of the daemon: what the records say and what really lives are brought together, in either direction."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from scow.background import spawn
from scow.engine.containers import ending, execs, files, freezing, health, mounting, remove, start
from scow.engine.context import Engine
from scow.engine.networks import links
from scow.engine.ports import ExitStatus, Task
from scow.engine.registry import Entry
from scow.errors import ScowError
from scow.model import transitions
from scow.model.network import Tenancy

_log = logging.getLogger("scow.reconcile")
_PATIENCE = 5.0


async def reconcile(engine: Engine) -> None:
    """Adopt live tasks, record exits that nobody saw, undo what a crash left half-made, start what must run again."""
    tasks = dict(await engine.supervisor.adopt())
    await _bring_up_network(engine, tasks)
    for entry in engine.containers:
        if not isinstance(tasks.get(entry.container.id), ExitStatus | None):
            mounting.held(engine, entry.container)
    restart: list[Entry] = []
    for entry in engine.containers:
        task = tasks.pop(entry.container.id, None)
        try:
            if await _settle(engine, entry, task):
                restart.append(entry)
            await freezing.recover(engine, entry)
        except ScowError as error:
            _log.error("container %s: %s", entry.container.id, error.message)
    strangers = [spawn(_end_unknown(engine, id_, task), f"end-{id_[:12]}") for id_, task in tasks.items()]
    if strangers:
        await asyncio.wait(strangers, timeout=_PATIENCE)  # one that cannot be ended does not hold up the others
    for gone in files.sweep(engine, engine.containers):
        spawn(asyncio.to_thread(files.delete, gone), "sweep")
    engine.snapshots.sweep({entry.container.id: entry.container.layers for entry in engine.containers})
    await engine.volumes.let_strangers_go()
    boots: dict[str, asyncio.Task[None]] = {}
    for entry in restart:
        boots[entry.container.id] = spawn(_start_again(engine, entry, boots), f"boot-{entry.container.id[:12]}")


async def _bring_up_network(engine: Engine, tasks: "dict[str, Task | ExitStatus]") -> None:
    """Only what belongs to live containers stays."""
    await engine.networking.start(
        {
            entry.container.id: Tenancy(
                links.tenant(engine, entry.container),
                entry.container.status.endpoints,
                entry.container.status.published,
                entry.container.status.pid or _pid(tasks.get(entry.container.id)),
            )
            for entry in engine.containers
            if entry.container.status.sandbox_id and not isinstance(tasks.get(entry.container.id), ExitStatus | None)
        }
    )


def _pid(task: "Task | ExitStatus | None") -> int:
    return 0 if task is None or isinstance(task, ExitStatus) else task.pid


async def _settle(engine: Engine, entry: Entry, task: "Task | ExitStatus | None") -> bool:
    """Make the record agree with what lives. True: it has to be started."""
    status = entry.container.status
    if isinstance(task, ExitStatus):
        if status.state in transitions.RUNNING or status.state in ("created", "restarting"):
            await _record_missed_exit(engine, entry, task)
        else:
            await engine.supervisor.forget(entry.container.id)
        return entry.container.id in engine.containers and _wants_start(entry, at_boot=False)
    if task is not None:
        _adopt(engine, entry, task)
        return False
    if status.state in transitions.RUNNING:
        # neither a process nor an exit record: the machine went down under it
        await _record_missed_exit(engine, entry, ExitStatus(255, engine.clock()))
        return entry.container.id in engine.containers and _wants_start(entry, at_boot=True)
    if status.state == "removing":
        async with entry.lock:
            await remove.take_away(engine, entry, volumes=False)
        return False
    if status.state == "restarting":
        ending.schedule(engine, entry, 0)
        return False
    if entry.container.host.auto_remove and status.state == "exited":
        async with entry.lock:
            await remove.take_away(engine, entry, volumes=True)
        return False
    return status.state == "exited" and _wants_start(entry, at_boot=True)


def _wants_start(entry: Entry, *, at_boot: bool) -> bool:
    policy, status = entry.container.host.restart_policy.name, entry.container.status
    if status.state == "restarting":
        return False  # record() has scheduled it
    if policy == "always":
        return at_boot or not status.stopped_by_user
    if policy == "unless-stopped":
        return not status.stopped_by_user
    return False


def _adopt(engine: Engine, entry: Entry, task: Task) -> None:
    """It runs on; a start, pause or unpause that the old daemon could not record is recorded now."""
    status = entry.container.status
    if status.state not in transitions.RUNNING:
        status = transitions.started(replace(status, state="exited"), pid=task.pid, at=task.started_at)
    if task.frozen is not None and task.frozen != (status.state == "paused"):
        status = replace(status, state=transitions.advance(status, "pause" if task.frozen else "unpause"))
    if status != entry.container.status:
        engine.containers.set_status(entry, status)
        spawn(engine.containers.save(entry), f"save-{entry.container.id[:12]}")
    entry.task = task
    health.adopt(engine, entry)
    for exec_id, exec_task in task.execs():
        execs.adopt(engine, entry, exec_id, exec_task)
    spawn(ending.watch(engine, entry, task), f"watch-{entry.container.id[:12]}")


async def _record_missed_exit(engine: Engine, entry: Entry, exit_status: ExitStatus) -> None:
    status = entry.container.status
    if status.state not in transitions.RUNNING:
        engine.containers.set_status(
            entry, replace(status, state="running", started_at=status.started_at or exit_status.finished_at)
        )
    async with entry.lock:
        await ending.record(engine, entry, exit_status)


async def _end_unknown(engine: Engine, container_id: str, task: "Task | ExitStatus") -> None:
    """A task without a record: its removal or creation was cut off. It ends."""
    if not isinstance(task, ExitStatus):
        await task.signal(9)
        await task.wait()
    await engine.supervisor.forget(container_id)


async def _start_again(engine: Engine, entry: Entry, boots: Mapping[str, "asyncio.Task[None]"]) -> None:
    """Those that it is linked to come first, as with Docker."""
    before = {boots[link.container_id] for link in entry.container.status.links if link.container_id in boots}
    if before:
        await asyncio.wait(before, timeout=_PATIENCE)
    async with entry.lock:
        if entry.task is not None or entry.removing:
            return
        try:
            await start.launch(engine, entry)
        except ScowError as error:
            _log.warning("container %s could not be started: %s", entry.container.name, error.message)

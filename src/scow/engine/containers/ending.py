"""The end of a container: its exit is taken over from the monitor, told to everybody, and acted upon by its
restart policy.
"""

import asyncio
from dataclasses import replace

from scow.background import idle, spawn
from scow.engine.containers import happenings, health, mounting
from scow.engine.context import Engine
from scow.engine.ports import ExitStatus, Task
from scow.engine.registry import Entry
from scow.errors import ScowError
from scow.model import transitions

_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 60.0
_GOOD_RUN = 10 * 10**9  # ran as long as this (ns): the next back-off starts small again


async def watch(engine: Engine, entry: Entry, task: Task) -> None:
    """Wait for the exit of a running task and record it."""
    if task.on_oom(lambda: _out_of_memory(engine, entry)) and not entry.container.status.oom_killed:
        _out_of_memory(engine, entry)
    status = await idle(task.wait())
    async with entry.lock:
        await record(engine, entry, status)


def _out_of_memory(engine: Engine, entry: Entry) -> None:
    """The kernel has killed one of its processes; the container may go on."""
    if not entry.container.status.oom_killed:  # one that runs into its limit again and again is written once
        engine.containers.set_status(entry, replace(entry.container.status, oom_killed=True))
        spawn(engine.containers.save(entry), f"oom-{entry.container.id[:12]}")
    happenings.publish(engine, entry.container, "oom")


async def record(engine: Engine, entry: Entry, exit_status: ExitStatus) -> None:
    """Apply an exit; the caller holds the lock. Nothing is told before the monitor's own record was durable."""
    before = entry.container
    restarting = not entry.removing and transitions.should_restart(before, exit_status.code)
    entry.task = None
    health.end(engine, entry)
    health.forget(engine, before.id)
    engine.containers.set_status(
        entry,
        transitions.exited(
            entry.container.status,
            code=exit_status.code,
            at=exit_status.finished_at,
            oom_killed=exit_status.oom_killed or before.status.oom_killed,
            restarting=restarting,
        ),
    )
    released = (
        spawn(engine.networking.release(before.id), f"release-{before.id[:12]}") if before.status.sandbox_id else None
    )
    if exit_status.oom_killed and not before.status.oom_killed:  # nobody was there when it happened
        happenings.publish(engine, entry.container, "oom")
    if before.status.sandbox_id:
        happenings.publish_network(engine, before, "disconnect")
    happenings.publish_volumes(engine, before, "unmount")
    await mounting.let_go(engine, before)
    seconds = max(0, exit_status.finished_at - before.status.started_at) // 10**9
    happenings.publish(engine, entry.container, "die", exitCode=str(exit_status.code), execDuration=str(seconds))
    settle(entry.exits, exit_status.code)
    if before.host.auto_remove and not restarting and not entry.restarting:
        from scow.engine.containers import remove

        if released is not None and before.status.published:
            await asyncio.wait((released,))  # whoever sees it gone can have its ports
        await engine.supervisor.forget(before.id)
        if not entry.removing:
            await remove.take_away(engine, entry, volumes=True)
        return
    entry.keeping = spawn(_keep(engine, entry), f"keep-{before.id[:12]}")
    if restarting:
        schedule(engine, entry, exit_status.finished_at - before.status.started_at)


async def _keep(engine: Engine, entry: Entry) -> None:
    """First our record of the exit, then the monitor's may go."""
    await engine.containers.save(entry)
    await engine.supervisor.forget(entry.container.id, settled=entry.container.host.auto_remove)
    engine.export(entry.container)


async def kept(entry: Entry) -> None:
    """Wait until the last exit is recorded and its task's leavings are gone: only then a new task can be made."""
    if entry.keeping is not None:
        await asyncio.wait((entry.keeping,))
        entry.keeping = None


def count_anew(engine: Engine, entry: Entry) -> None:
    """Somebody starts it by hand: its restarts are counted, and its back-off grows, from the beginning."""
    entry.backoff = 0.0
    if entry.container.status.restart_count:
        engine.containers.set_status(entry, replace(entry.container.status, restart_count=0))


def schedule(engine: Engine, entry: Entry, ran: int) -> None:
    """Start a container that is restarting again after its back-off. `ran`: how long it had run (ns)."""
    entry.backoff = (
        _FIRST_BACKOFF if ran >= _GOOD_RUN or not entry.backoff else min(entry.backoff * 2, _LONGEST_BACKOFF)
    )
    entry.restart = spawn(_restart_later(engine, entry, entry.backoff), f"restart-{entry.container.id[:12]}")


async def _restart_later(engine: Engine, entry: Entry, delay: float) -> None:
    from scow.engine.containers import start

    await idle(asyncio.sleep(delay))
    async with entry.lock:
        status = entry.container.status
        if entry.removing or status.state != "restarting":
            return
        engine.containers.set_status(entry, replace(status, restart_count=status.restart_count + 1))
        try:
            await start.launch(engine, entry)
        except ScowError:
            # launch recorded the failure; the policy goes on trying as long as it allows
            if entry.container.id in engine.containers and transitions.should_restart(
                entry.container, entry.container.status.exit_code
            ):
                engine.containers.set_status(entry, replace(entry.container.status, state="restarting"))
                schedule(engine, entry, 0)


def cancel_restart(engine: Engine, entry: Entry) -> bool:
    """A stop or kill during the back-off: it stays down. True when there was one to cancel."""
    if entry.container.status.state != "restarting":
        return False
    if entry.restart is not None:
        entry.restart.cancel()
        entry.restart = None
    status = entry.container.status
    engine.containers.set_status(entry, replace(status, state="exited", stopped_by_user=True))
    return True


def settle(futures: "list[asyncio.Future[int]]", code: int) -> None:
    """Wake all waiters."""
    waiting, futures[:] = list(futures), []
    for future in waiting:
        if not future.done():
            future.set_result(code)

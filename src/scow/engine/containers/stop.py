"""Stop: the stop signal, some patience, then SIGKILL."""

import asyncio
import contextlib
from dataclasses import replace

from scow.engine.containers import ending, happenings, signals
from scow.engine.context import Engine
from scow.engine.registry import Entry
from scow.errors import NotFound, NotModified, Timeout

_KILL_PATIENCE = 10.0


async def stop(engine: Engine, name: str, timeout: int | None = None, signal: str = "") -> None:
    """NotModified when it does not run. timeout in seconds; None: the container's own or the daemon's; negative:
    for ever.
    """
    entry = engine.containers.find(name)
    await entry.settled()
    number = signals.number(signal) if signal else None
    if ending.cancel_restart(engine, entry):
        await engine.containers.save(entry)
        return
    if not entry.running:
        raise NotModified(f"container {name} is not running")
    await halt(engine, entry, timeout, number)


async def halt(engine: Engine, entry: Entry, timeout: int | None, number: int | None) -> None:
    """Signal, wait, kill, wait. Returns when the exit is recorded."""
    container, task = entry.container, entry.task
    if task is None:
        return
    seconds = timeout
    if seconds is None:
        seconds = (
            container.config.stop_timeout
            if container.config.stop_timeout is not None
            else engine.settings.default_stop_timeout
        )
    if number is None:
        number = signals.number(container.config.stop_signal or "TERM")
    await mark_stopped(engine, entry)
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    entry.exits.append(exited)
    try:
        if container.status.state == "paused":
            with contextlib.suppress(Timeout):
                await task.freeze(False)
        try:
            await task.signal(number)
        except Timeout:
            seconds = 0  # nobody passes a signal on: it has to be ended
        happenings.publish(engine, container, "kill", signal=str(number))
        if number != 9:
            await asyncio.wait((exited,), timeout=None if seconds < 0 else seconds)
            if not exited.done():
                await task.signal(9)
                happenings.publish(engine, container, "kill", signal="9")
    except NotFound:
        pass  # it ended by itself just now
    await ended(entry, exited)
    happenings.publish(engine, container, "stop")


async def ended(entry: Entry, exited: "asyncio.Future[int]") -> None:
    """Wait for the exit of a container that was killed; `exited` is among its entry's exits. Timeout after a while."""
    await asyncio.wait((exited,), timeout=_KILL_PATIENCE)
    if not exited.done():
        entry.exits.remove(exited)
        name = entry.container.name
        raise Timeout(f"container {name}: tried to kill container, but did not receive an exit event")


async def mark_stopped(engine: Engine, entry: Entry) -> None:
    """It is the user's will that it ends: restart policies rest. Durable, as the daemon may die before the
    container.
    """
    status = entry.container.status
    if not status.stopped_by_user:
        engine.containers.set_status(entry, replace(status, stopped_by_user=True))
        if entry.container.host.restart_policy.name != "no":
            await engine.containers.save(entry)

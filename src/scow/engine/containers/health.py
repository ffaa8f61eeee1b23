"""Health checks: one task for each container that has one and runs, which executes the check and judges its results.

What is known survives the daemon: every result is put into a small file below the exec root (which lives as long as the
machine is up, as the container does), and the next daemon goes on from there.
"""

import asyncio
import os
import socket
from dataclasses import replace

import msgspec

from scow.background import complete, idle, spawn
from scow.engine.containers import execs, happenings
from scow.engine.context import Engine
from scow.engine.registry import Entry
from scow.errors import ScowError
from scow.model import health as rules
from scow.model.container import Container
from scow.model.execution import ExecConfig
from scow.model.health import Health, HealthResult

_SECOND = 1e9
_KILL_PATIENCE = 3.0  # for a run that was killed to be gone
_LAST_OUTPUT = 3.0  # for output after the end of a run
_decoder = msgspec.json.Decoder(Health)


def begin(engine: Engine, entry: Entry) -> None:
    """The container has just been started."""
    if rules.command(entry.container.config.healthcheck, entry.container.config.shell) is None:
        return
    _set(engine, entry, rules.started(entry.container.status.health))
    _watch(engine, entry, 0)


def resume(engine: Engine, entry: Entry) -> None:
    """It is running again after a pause: its checks go on, and it is unhealthy until one succeeds."""
    if entry.container.status.health is not None:
        _watch(engine, entry, engine.clock())


def adopt(engine: Engine, entry: Entry) -> None:
    """It has run on under another daemon: what was known is known again, and the next check is due when it was."""
    container = entry.container
    if rules.command(container.config.healthcheck, container.config.shell) is None:
        return
    known = _load(engine, container) or container.status.health or Health()
    running = container.status.state == "running"
    _set(engine, entry, known if running else rules.stopped(known))
    if running:
        _watch(engine, entry, known.log[-1].end if known.log else 0)


def end(engine: Engine, entry: Entry) -> None:
    """It has ended or is paused: nobody checks."""
    if entry.checking is not None:
        entry.checking.cancel()
        entry.checking = None
    if entry.container.status.health is not None:
        _set(engine, entry, rules.stopped(entry.container.status.health))


def forget(engine: Engine, container_id: str) -> None:
    """Its file is not needed any more."""
    try:
        os.unlink(_path(engine, container_id))
    except OSError:
        pass


def _set(engine: Engine, entry: Entry, health: Health | None) -> None:
    engine.containers.set_status(entry, replace(entry.container.status, health=health))


def _watch(engine: Engine, entry: Entry, since: int) -> None:
    if entry.checking is not None:
        entry.checking.cancel()
    entry.checking = spawn(_check_for_ever(engine, entry, since), f"health-{entry.container.id[:12]}")


async def _check_for_ever(engine: Engine, entry: Entry, since: int) -> None:
    """Until it is cancelled. `since`: when the last run ended; 0: there was none, the start of the container counts."""
    check = entry.container.config.healthcheck
    assert check is not None
    stuck: asyncio.Task[HealthResult] | None = None
    while True:
        status = entry.container.status
        health = status.health or Health()
        due = (since or status.started_at) + rules.pause(health, check, status.started_at, engine.clock())
        await idle(asyncio.sleep(max(0.0, (due - engine.clock()) / _SECOND)))
        started = engine.clock()
        work = stuck or spawn(_run(engine, entry), f"check-{entry.container.id[:12]}", awaited=True)
        try:
            done, _ = await asyncio.wait((work,), timeout=rules.timeout(check) / _SECOND)
            if not done:
                await _kill(entry, work)
        except asyncio.CancelledError:
            if entry.check_task is not None:  # nobody would end it any more
                spawn(entry.check_task.kill(), "kill a check", awaited=True)
            work.cancel()
            raise
        # A stopped container runs nothing: checks must not pile up in front of it.
        stuck = None if work.done() else work
        result = work.result() if done else _late(engine, entry, started)
        since = result.end
        await _take(engine, entry, result)


async def _run(engine: Engine, entry: Entry) -> HealthResult:
    """One run of the check, to its end; that it cannot be run is a result, too."""
    start = engine.clock()
    try:
        return await _execute(engine, entry, start)
    except ScowError as error:
        return HealthResult(start, engine.clock(), -1, error.message)
    except OSError as error:
        return HealthResult(start, engine.clock(), -1, f"cannot run the check: {error.strerror}")


async def _execute(engine: Engine, entry: Entry, start: int) -> HealthResult:
    container = entry.container
    words = rules.command(container.config.healthcheck, container.config.shell) or ()
    ours, theirs = socket.socketpair()
    output = bytearray()
    entry.check_output = output
    ours.setblocking(False)
    reading = spawn(_read(ours, output), f"check-output-{container.id[:12]}", awaited=True)
    try:
        try:
            code = await execs.run_alone(
                engine, entry, ExecConfig(cmd=words, attach_stdout=True, attach_stderr=True), theirs
            )
        finally:
            theirs.close()
        await asyncio.wait((reading,), timeout=_LAST_OUTPUT)
        return HealthResult(start, engine.clock(), code, rules.clip(bytes(output)))
    finally:
        # The loop has to let go of the descriptor first: its number may be a client's connection in a moment.
        reading.cancel()
        await asyncio.wait((reading,))
        ours.close()


async def _read(connection: socket.socket, output: bytearray) -> None:
    """Everything is read, the beginning is kept."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(connection, 65536):
        output += data[: rules.OUTPUT_LIMIT - len(output)]


async def _kill(entry: Entry, work: "asyncio.Task[HealthResult]") -> None:
    """End a run that takes too long, with everything that it has started; no longer than some seconds."""
    running = entry.check_task
    if running is not None:
        killing = spawn(running.kill(), "kill a check", awaited=True)
        await asyncio.wait((killing,), timeout=_KILL_PATIENCE)
        killing.cancel()
    await asyncio.wait((work,), timeout=_KILL_PATIENCE)


def _late(engine: Engine, entry: Entry, started: int) -> HealthResult:
    check = entry.container.config.healthcheck
    assert check is not None
    return HealthResult(started, engine.clock(), -1, rules.late(check, rules.clip(bytes(entry.check_output))))


async def _take(engine: Engine, entry: Entry, result: HealthResult) -> None:
    """Make the result known, and act on a container that has become unhealthy."""
    container = entry.container
    check, status = container.config.healthcheck, container.status
    if check is None or status.health is None or status.state != "running":
        return
    before = status.health
    now = rules.judged(before, check, result, status.started_at)
    _set(engine, entry, now)
    if now.status != before.status:
        happenings.publish(engine, container, f"health_status: {now.status}")
        engine.export(entry.container)
    try:
        await complete(asyncio.to_thread(_store, engine, container.id, now), f"store-health-{container.id[:12]}")
    finally:
        if entry.task is None:  # it has ended meanwhile
            forget(engine, container.id)
    if now.status != before.status and now.status == rules.UNHEALTHY:
        if container.host.health_on_failure not in ("", "none"):
            spawn(_act(engine, container), f"unhealthy-{container.id[:12]}")


async def _act(engine: Engine, container: Container) -> None:
    """kill leaves what follows to the restart policy, stop is as the user's own, restart starts it again at once."""
    from scow.engine.containers import restart, stop

    action = container.host.health_on_failure
    entry = engine.containers.get(container.id)
    if entry is None:
        return
    if action == "restart":
        await restart.restart(engine, container.id)
    elif action == "stop":
        await stop.stop(engine, container.id)
    elif entry.task is not None:
        await entry.task.signal(9)
        happenings.publish(engine, container, "kill", signal="9")


# ---------------------------------------------------------------- what the next daemon needs


def _path(engine: Engine, container_id: str) -> str:
    return f"{engine.settings.exec_root}/health/{container_id}"


def _store(engine: Engine, container_id: str, health: Health) -> None:
    """Whole or not at all. A full disk loses what the next daemon finds out by its first check."""
    path = _path(engine, container_id)
    data = msgspec.json.encode(health)
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
        os.rename(path + ".new", path)
    except OSError:
        pass


def _load(engine: Engine, container: Container) -> Health | None:
    """None when there is nothing, or something that is older than this run of the container."""
    try:
        with open(_path(engine, container.id), "rb") as stream:
            health = _decoder.decode(stream.read(1 << 20))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return health if health.log and health.log[-1].end > container.status.started_at else None

"""Health checks of the engine, on doubles whose execs answer what the test wants."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from scow.engine import reconcile
from scow.engine.containers import create, health, pause, query, start, stop
from scow.errors import InvalidArgument
from scow.model.container import ContainerConfig, HostConfig, RestartPolicy
from scow.model.health import Health, HealthCheck
from tests.unit.engine.doubles import FakeTask, World
from tests.unit.engine.test_lifecycle import made, run, settled

MS = 10**6
CHECK = HealthCheck(("CMD-SHELL", "check"), interval=MS, retries=2)


class Checked(FakeTask):
    """An exec that ends at once with the task's `code`, having said `output`; or never, until it is killed."""

    def __init__(self, owner: FakeTask, connection: socket.socket | None, code: int | None, output: bytes) -> None:
        super().__init__(owner.spec)
        self._connection = socket.socket(fileno=socket.dup(connection.fileno())) if connection else None  # type: ignore[attr-defined]
        if self._connection is not None and output:
            self._connection.sendall(output)
        if code is not None:
            self.finish(code)

    def finish(self, code: int) -> None:
        if self._connection is not None:
            self._connection.close()
        self.end(code)

    async def kill(self) -> None:
        self.finish(137)


def answering(world: World, id_: str, code: int | None, output: bytes = b"") -> list[Any]:
    """Every exec in the container answers so; the list gets their commands."""
    task, commands = world.supervisor.tasks[id_], []

    async def execute(exec_id: str, process: Any, terminal: bool, attachment: Any, stdin: bool) -> Checked:
        commands.append(process["args"])
        return Checked(task, attachment.connection if attachment else None, code, output)

    task.exec = execute  # type: ignore[method-assign]
    return commands


async def until(world: World, id_: str, wanted: str) -> Health:
    for _ in range(3000):
        known = query.get(world.engine, id_).status.health
        if known is not None and known.status == wanted:
            return known
        await asyncio.sleep(0.001)
    raise AssertionError(f"{query.get(world.engine, id_).status.health} is not {wanted}")


def test_healthy_then_paused_then_healthy_then_stopped(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, config={"healthcheck": CHECK})
        assert query.get(world.engine, id_).status.health is None
        await start.start(world.engine, id_)
        assert query.get(world.engine, id_).status.health == Health()
        commands = answering(world, id_, 0, b"fine")
        known = await until(world, id_, "healthy")
        assert known.log[0].output == "fine" and known.log[0].exit_code == 0
        assert commands[0] == ["/bin/sh", "-c", "check"]
        assert not world.engine.containers.find(id_).execs  # nobody will ask for it
        await pause.pause(world.engine, id_)
        assert query.get(world.engine, id_).status.health.status == "unhealthy"  # type: ignore[union-attr]
        await pause.unpause(world.engine, id_)
        await until(world, id_, "healthy")
        await stop.stop(world.engine, id_)
        assert query.get(world.engine, id_).status.health.status == "unhealthy"  # type: ignore[union-attr]
        assert world.engine.containers.find(id_).checking is None
        wanted = [
            "container exec_create: /bin/sh -c check",
            "container exec_start: /bin/sh -c check",
            "container exec_die",
            "container health_status: healthy",
        ]
        actions = world.actions()
        at = actions.index(wanted[0])
        assert actions[at : at + 4] == wanted
        assert "container health_status: unhealthy" not in actions

    run(tmp_path, scenario)


def test_a_check_that_cannot_be_run_fails(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, config={"healthcheck": HealthCheck(("CMD", "nosuch"), interval=MS, retries=1)})
        await start.start(world.engine, id_)
        known = await until(world, id_, "unhealthy")
        assert known.log[0].exit_code == -1 and "executable file not found" in known.log[0].output
        await stop.stop(world.engine, id_)

    run(tmp_path, scenario)


def test_a_check_that_takes_too_long_is_killed_and_says_so(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        check = HealthCheck(("CMD", "slow"), interval=MS, timeout=5 * MS, retries=1)
        id_ = await made(world, config={"healthcheck": check})
        await start.start(world.engine, id_)
        answering(world, id_, None, b"hi")
        known = await until(world, id_, "unhealthy")
        assert known.log[0].exit_code == -1
        assert known.log[0].output == "Health check exceeded timeout (5ms): hi"
        await stop.stop(world.engine, id_)

    run(tmp_path, scenario)


@pytest.mark.parametrize(("action", "signals"), [("kill", [9]), ("stop", [15]), ("restart", [15]), ("none", [])])
def test_what_is_done_to_one_that_becomes_unhealthy(tmp_path: Path, action: str, signals: list[int]) -> None:
    async def scenario(world: World) -> None:
        policy = RestartPolicy("always")
        id_ = await made(world, config={"healthcheck": CHECK}, health_on_failure=action, restart_policy=policy)
        await start.start(world.engine, id_)
        task = world.supervisor.tasks[id_]
        answering(world, id_, 1)
        if action == "none":
            await until(world, id_, "unhealthy")
        else:
            await task.wait()
            # kill leaves it to the policy, stop is for good, restart starts it
            await settled(world, id_, {"kill": "restarting", "stop": "exited", "restart": "running"}[action])
        assert task.signals == signals
        await stop.stop(world.engine, id_) if action != "stop" else None

    run(tmp_path, scenario)


def test_what_was_known_is_known_to_the_next_daemon(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, config={"healthcheck": CHECK})
        await start.start(world.engine, id_)
        answering(world, id_, 0, b"fine")
        before = await until(world, id_, "healthy")
        entry = world.engine.containers.find(id_)
        assert entry.checking is not None
        await world.engine.containers.save(entry)
        while health._load(world.engine, entry.container) is None:
            await asyncio.sleep(0.001)
        entry.checking.cancel()
        task = world.supervisor.tasks[id_]
        after = world.reopened()
        after.now = world.now
        after.supervisor.left = {id_: task}
        after.supervisor.tasks = {id_: task}
        answering(after, id_, 1)
        await reconcile.reconcile(after.engine)
        known = query.get(after.engine, id_).status.health
        assert known is not None and known.status == "healthy" and known.log[0] == before.log[0]
        await until(after, id_, "unhealthy")
        await stop.stop(after.engine, id_)

    run(tmp_path, scenario)


def test_an_old_file_says_nothing_about_a_later_run(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, config={"healthcheck": CHECK})
        await start.start(world.engine, id_)
        answering(world, id_, 0)
        await until(world, id_, "healthy")
        world.supervisor.tasks[id_].end(0)
        await settled(world, id_, "exited")
        for _ in range(2000):
            if not list((tmp_path / "run/health").iterdir()):
                return
            await asyncio.sleep(0.001)
        raise AssertionError("its file is left")

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (HealthCheck(interval=1), "Interval in Healthcheck cannot be less than 1ms"),
        (HealthCheck(timeout=1), "Timeout in Healthcheck cannot be less than 1ms"),
        (HealthCheck(start_period=1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (HealthCheck(start_interval=1), "StartInterval in Healthcheck cannot be less than 1ms"),
        (HealthCheck(retries=-1), "Retries in Healthcheck cannot be negative"),
        (HealthCheck(("SH", "x")), "Unknown healthcheck type SH"),
    ],
)
def test_refusals(tmp_path: Path, check: HealthCheck, sentence: str) -> None:
    async def scenario(world: World) -> None:
        request = create.CreateRequest("c", ContainerConfig(image="busybox", healthcheck=check), HostConfig())
        with pytest.raises(InvalidArgument) as refused:
            await create.create(world.engine, request)
        assert refused.value.message == sentence

    run(tmp_path, scenario)


def test_an_unknown_action_is_refused(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(InvalidArgument, match="invalid HealthOnFailure 'explode'"):
            await made(world, health_on_failure="explode")

    run(tmp_path, scenario)


def test_a_check_that_is_cut_off_leaves_no_descriptor_in_the_loop(tmp_path: Path) -> None:
    """The number of a closed descriptor is a client's connection next, which would never be read."""

    async def scenario(world: World) -> None:
        id_ = await made(world, config={"healthcheck": CHECK})
        entry = world.engine.containers.find(id_)
        taken: list[int] = []
        real = socket.socketpair

        def remember(*arguments: Any) -> Any:
            pair = real(*arguments)
            taken.append(pair[0].fileno())
            return pair

        socket.socketpair = remember  # type: ignore[assignment]
        try:
            await start.start(world.engine, id_)
            answering(world, id_, None)
            while not taken or entry.check_task is None:
                await asyncio.sleep(0.001)
            entry.checking.cancel()  # type: ignore[union-attr]
            known = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]
            for _ in range(200):
                await asyncio.sleep(0)
                closed = not os.path.exists(f"/proc/self/fd/{taken[-1]}")
                assert not (closed and taken[-1] in known)
            assert closed
        finally:
            socket.socketpair = real

    run(tmp_path, scenario)

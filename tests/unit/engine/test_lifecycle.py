"""Create, start, stop, kill, restart, remove and their failures, on doubles."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from scow import background
from scow.background import drain
from scow.engine import reconcile
from scow.engine.containers import create, execs, kill, pause, query, remove, rename, restart, start, stop, wait
from scow.engine.ports import ExitStatus
from scow.errors import Conflict, InvalidArgument, NotFound, NotModified, ResourceExhausted, ScowError, StartFailure
from scow.model.container import ContainerConfig, HostConfig, LogConfig, Resources, RestartPolicy
from scow.model.execution import ExecConfig
from scow.model.mounts import MountRequest
from scow.model.network import EndpointWish
from scow.model.ports import Port, PortBinding
from tests.unit.engine.doubles import World


def run(root: Path, scenario: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    async def body() -> World:
        world = World(root)
        try:
            await scenario(world)
            await asyncio.sleep(0)
        finally:
            await asyncio.to_thread(world.database.close)
        return world

    return asyncio.run(body())


async def made(world: World, name: str = "c1", config: dict[str, Any] | None = None, **host: Any) -> str:
    request = create.CreateRequest(name, ContainerConfig(image="busybox", **(config or {})), HostConfig(**host))
    return (await create.create(world.engine, request)).id


async def settled(world: World, id_: str, state: str) -> None:
    for _ in range(2000):
        if query.get(world.engine, id_).status.state == state:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{query.get(world.engine, id_).status} is not {state}")


def left_over(world: World) -> dict[str, Any]:
    return {
        "snapshots": set(world.snapshots.prepared),
        "directories": [p.name for p in (world.root / "data/containers").iterdir()],
        "network": dict(world.networking.connected),
        "volumes": list(world.volumes.all),
        "records": [c.name for c in world.engine.containers.store.load()],
    }


NOTHING: dict[str, Any] = {"snapshots": set(), "directories": [], "network": {}, "volumes": [], "records": []}


def test_create_merges_the_image_by_dockers_rules(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, config={"env": ("A=user",), "labels": {"x": "y"}})
        config = query.get(world.engine, id_).config
        assert config.env == ("A=user", "PATH=/bin")  # the bare name of the image is dropped
        assert config.cmd == ("sh",)
        assert config.labels == {"from": "image", "x": "y"}
        assert config.hostname == id_[:12]
        assert query.get(world.engine, id_).path == "sh"

    run(tmp_path, scenario)


def test_a_life(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, port_bindings=(PortBinding(Port(80), "", "8080"),))
        exit_code = wait.wait(world.engine, "c1", "next-exit")
        await start.start(world.engine, "c1")
        status = query.get(world.engine, id_).status
        assert (status.state, status.pid, status.endpoints[0].ip_address) == ("running", 4321, "10.9.0.2")
        assert status.published[0].host_port == 8080
        with pytest.raises(NotModified):
            await start.start(world.engine, "c1")
        await stop.stop(world.engine, "c1", 5)
        assert (await exit_code).code == 143
        assert query.get(world.engine, id_).status.state == "exited"
        with pytest.raises(NotModified):
            await stop.stop(world.engine, "c1", 5)
        await remove.remove(world.engine, "c1")
        assert left_over(world) == NOTHING

    world = run(tmp_path, scenario)
    assert world.actions() == [
        "container create",
        "network connect",
        "container start",
        "container kill",
        "network disconnect",
        "container die",
        "container stop",
        "container destroy",
    ]


async def during_the_start(world: World, id_: str, act: Coroutine[Any, Any, Any]) -> Any:
    """Run `act` while the container's program runs already and the start has no answer yet; what came of it."""
    answer, spawn = asyncio.Event(), world.supervisor.spawn

    async def slowly(spec: Any) -> Any:
        task = await spawn(spec)
        await answer.wait()
        return task

    world.supervisor.spawn = slowly  # type: ignore[method-assign]
    starting = asyncio.create_task(start.start(world.engine, id_))
    while id_ not in world.supervisor.tasks:
        await asyncio.sleep(0)
    acting = asyncio.create_task(act)
    await asyncio.sleep(0)
    answer.set()
    _, result = await asyncio.gather(starting, acting, return_exceptions=True)
    return result


@pytest.mark.parametrize(("act", "signal"), [(kill.kill, 9), (stop.stop, 15)])
def test_an_end_that_is_asked_for_during_the_start_is_not_refused(tmp_path: Path, act: Any, signal: int) -> None:
    """A client sees the first output before the start has its answer, and forwards a signal."""

    async def scenario(world: World) -> None:
        id_ = await made(world)
        assert await during_the_start(world, id_, act(world.engine, id_)) is None
        assert world.supervisor.tasks[id_].signals == [signal]

    run(tmp_path, scenario)


def test_what_is_starting_is_not_removed_without_force(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        refused = await during_the_start(world, id_, remove.remove(world.engine, id_))
        assert isinstance(refused, Conflict) and "container is running" in refused.message
        assert query.get(world.engine, id_).status.state == "running"
        await remove.remove(world.engine, id_, force=True)
        assert left_over(world) == NOTHING

    run(tmp_path, scenario)


def test_a_stubborn_one_is_killed_after_the_timeout(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.supervisor.stubborn = True
        id_ = await made(world)
        await start.start(world.engine, id_)
        await stop.stop(world.engine, id_, 0)
        assert world.supervisor.tasks[id_].signals == [15, 9]
        assert query.get(world.engine, id_).status.exit_code == 137

    run(tmp_path, scenario)


@pytest.mark.parametrize("error", [Conflict("port is already allocated"), ResourceExhausted("no address")])
def test_a_failing_network_leaves_nothing(tmp_path: Path, error: ScowError) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        world.networking.fail = error
        with pytest.raises(type(error)):
            await start.start(world.engine, id_)
        status = query.get(world.engine, id_).status
        assert (status.state, status.exit_code, status.error) == ("created", 128, error.message)
        world.networking.fail = None
        await start.start(world.engine, id_)  # as startable as before

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "nosuch": executable file not found in $PATH: unknown', 127),
        ('exec: "/etc": is a directory: unknown: permission denied', 126),
        ("unable to find user x: no matching entries in passwd file", 128),
    ],
)
def test_a_failing_process_gives_the_network_back(tmp_path: Path, message: str, code: int) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        world.supervisor.fail = StartFailure(message)
        with pytest.raises(StartFailure):
            await start.start(world.engine, id_)
        assert world.networking.connected == {}
        assert query.get(world.engine, id_).status.exit_code == code

    run(tmp_path, scenario)


def test_rm_option_removes_after_a_failed_start_and_after_an_exit(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, auto_remove=True)
        world.supervisor.fail = StartFailure("no")
        with pytest.raises(StartFailure):
            await start.start(world.engine, id_)
        assert left_over(world) == NOTHING
        world.supervisor.fail = None
        id_ = await made(world, auto_remove=True)
        removed = wait.wait(world.engine, id_, "removed")
        await start.start(world.engine, id_)
        world.supervisor.tasks[id_].end(3)
        assert (await removed).code == 3
        await drain(1)  # the directory is deleted when everybody has been told
        assert left_over(world) == NOTHING

    run(tmp_path, scenario)


def test_create_that_fails_leaves_nothing_and_frees_the_name(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.snapshots.fail = ResourceExhausted("no space left on device")
        with pytest.raises(ResourceExhausted):
            await made(world, mounts=(MountRequest("volume", "/data"),))
        assert left_over(world) == NOTHING
        world.snapshots.fail = None
        await made(world)

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("config", "host", "text"),
    [
        ({"working_dir": "rel"}, {}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({"stop_signal": "FOO"}, {}, "invalid signal: FOO"),
        ({"env": ("=x",)}, {}, "invalid environment variable: =x"),
        ({}, {"resources": Resources(memory=1 << 20)}, "Minimum memory limit allowed is 6MB"),
        ({}, {"resources": Resources(memory=1 << 24, memory_swap=1)}, "Minimum memoryswap limit should be larger"),
        ({}, {"resources": Resources(cpuset_cpus="777")}, "Requested CPUs are not available - requested 777"),
        ({}, {"resources": Resources(cpuset_cpus="x")}, "Invalid value x for cpuset cpus"),
        ({}, {"cap_add": ("FOO",)}, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ({}, {"ipc_mode": "foo"}, "invalid IPC mode: foo"),
        ({}, {"security_opt": ("foo",)}, "foo"),
        ({}, {"sysctls": {"kernel.foo": "1"}}, "sysctl 'kernel.foo=1' is not allowed"),
        ({}, {"sysctls": {"net.ipv4.x": "1\n2"}}, "is not allowed"),
        ({}, {"auto_remove": True, "restart_policy": RestartPolicy("always")}, "can't create 'AutoRemove' container"),
        ({}, {"mounts": (MountRequest("bind", "/x", "/nosuch/source"),)}, "bind source path does not exist: /nosuch/source"),
        ({}, {"mounts": (MountRequest("volume", "/proc", "v"),)}, "/proc"),
        ({}, {"mounts": (MountRequest("volume", "/x/../../sys/kernel", "v"),)}, "/sys"),
        ({}, {"network_mode": "container:nosuch"}, "No such container: nosuch"),
        ({}, {"log": LogConfig("json-file", {"nosuch": "xx"})}, "nosuch"),
    ],
)  # fmt: skip
def test_bad_wishes_are_refused_and_leave_nothing(tmp_path: Path, config: Any, host: Any, text: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(ScowError) as caught:
            await made(world, config=config, **host)
        assert text in caught.value.message
        assert left_over(world) == NOTHING
        await made(world)  # the name is free

    run(tmp_path, scenario)


def test_names(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        with pytest.raises(Conflict, match='The container name "/c1" is already in use by container'):
            await made(world)
        with pytest.raises(InvalidArgument, match="Invalid container name"):
            await made(world, "-bad")
        with pytest.raises(NotFound, match="No such container: zzz"):
            query.get(world.engine, "zzz")
        assert query.get(world.engine, id_[:5]).id == id_
        await rename.rename(world.engine, "c1", "c2")
        assert query.get(world.engine, "/c2").id == id_
        await made(world)
        with pytest.raises(Conflict):
            await rename.rename(world.engine, "c2", "c1")
        assert world.reopened().engine.containers.find("c2").container.id == id_

    run(tmp_path, scenario)


def test_restart_policy_and_stop(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, restart_policy=RestartPolicy("on-failure", 2))
        await start.start(world.engine, id_)
        for count in (1, 2):
            world.supervisor.tasks.pop(id_).end(1)
            await settled(world, id_, "restarting")
            await settled(world, id_, "running")
            assert query.get(world.engine, id_).status.restart_count == count
        world.supervisor.tasks[id_].end(1)
        await settled(world, id_, "exited")  # the limit is reached

    run(tmp_path, scenario)


def test_a_stopped_one_is_not_restarted(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, restart_policy=RestartPolicy("always"))
        await start.start(world.engine, id_)
        await kill.kill(world.engine, id_)
        await settled(world, id_, "exited")
        await restart.restart(world.engine, id_)
        await settled(world, id_, "running")

    run(tmp_path, scenario)


def test_kill_tells_what_it_cannot_do(tmp_path: Path) -> None:
    """dockerd's sentences; the signal is looked at first."""

    async def scenario(world: World) -> None:
        id_ = await made(world)
        for name, signal, kind, words in (
            ("none", "FOO", InvalidArgument, "invalid signal: FOO"),
            (id_, "99", InvalidArgument, "the linux daemon does not support signal 99"),
            ("none", "TERM", NotFound, "No such container: none"),
            (id_, "TERM", Conflict, f"container {id_} is not running"),
        ):
            with pytest.raises(kind) as caught:
                await kill.kill(world.engine, name, signal)
            assert caught.value.message == f"cannot kill container: {name}: {words}"

    run(tmp_path, scenario)


def test_restart_keeps_a_rm_container(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, auto_remove=True)
        await start.start(world.engine, id_)
        await restart.restart(world.engine, id_, 1)
        assert query.get(world.engine, id_).status.state == "running"

    run(tmp_path, scenario)


def test_pause_and_what_it_forbids(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        with pytest.raises(Conflict, match="is not running"):
            await pause.pause(world.engine, "c1")
        await start.start(world.engine, id_)
        await pause.pause(world.engine, "c1")
        with pytest.raises(Conflict, match="is already paused"):
            await pause.pause(world.engine, "c1")
        with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
            await execs.create(world.engine, "c1", ExecConfig(("true",)))
        with pytest.raises(Conflict, match="must be unpaused first"):
            await remove.remove(world.engine, "c1")
        await pause.unpause(world.engine, "c1")
        with pytest.raises(Conflict, match="container is running: stop the container before removing"):
            await remove.remove(world.engine, "c1")
        await remove.remove(world.engine, "c1", force=True)
        assert left_over(world) == NOTHING

    run(tmp_path, scenario)


def test_the_next_daemon_adopts_or_learns_the_exit(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        ids = [await made(world, f"c{n}") for n in range(3)]
        for id_ in ids:
            await start.start(world.engine, id_)
        await asyncio.sleep(0.05)
        nxt = world.reopened()
        tasks = world.supervisor.tasks
        nxt.supervisor.left = {ids[0]: tasks[ids[0]], ids[1]: ExitStatus(7, 99)}
        await reconcile.reconcile(nxt.engine)
        states = [query.get(nxt.engine, id_).status for id_ in ids]
        assert (states[0].state, states[0].pid) == ("running", 4321)
        assert (states[1].state, states[1].exit_code, states[1].finished_at) == ("exited", 7, 99)
        assert (states[2].state, states[2].exit_code) == ("exited", 255)  # the machine went down under it
        assert list(nxt.networking.started) == [ids[0]]
        await stop.stop(nxt.engine, "c0", 5)
        assert query.get(nxt.engine, ids[0]).status.exit_code == 143

    run(tmp_path, scenario)


def test_the_next_daemon_sees_who_is_paused(tmp_path: Path) -> None:
    """A daemon that is killed between the freezer and its record leaves them apart."""

    async def scenario(world: World) -> None:
        ids = [await made(world, f"c{n}") for n in range(3)]
        for id_ in ids:
            await start.start(world.engine, id_)
        await pause.pause(world.engine, ids[1])
        await asyncio.sleep(0.05)
        nxt = world.reopened()
        tasks = nxt.supervisor.left = {id_: world.supervisor.tasks[id_] for id_ in ids}
        tasks[ids[0]].frozen, tasks[ids[1]].frozen, tasks[ids[2]].frozen = True, False, None  # type: ignore[assignment]
        await reconcile.reconcile(nxt.engine)
        assert [query.get(nxt.engine, id_).status.state for id_ in ids] == ["paused", "running", "running"]
        await pause.unpause(nxt.engine, ids[0])
        assert tasks[ids[0]].frozen is False

    run(tmp_path, scenario)


def test_a_cut_off_create_is_swept_and_an_unknown_task_ended(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        stray = "f" * 64
        (world.root / "data/containers" / stray).mkdir()
        half_removed = world.root / "data/containers" / ("a" * 64 + ".removed")
        half_removed.mkdir()
        id_ = await made(world)
        await start.start(world.engine, id_)
        unknown = world.supervisor.tasks[id_]
        nxt = world.reopened()
        nxt.supervisor.left = {"e" * 64: unknown}
        await reconcile.reconcile(nxt.engine)
        assert unknown.signals == [9]
        await background.drain(5)  # deleting goes on behind the scenes
        assert not (world.root / "data/containers" / stray).exists()
        assert not half_removed.exists()
        assert "e" * 64 in nxt.supervisor.forgotten

    run(tmp_path, scenario)


def test_exec_failures_have_dockers_codes(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        with pytest.raises(Conflict, match="is not running"):
            await execs.create(world.engine, id_, ExecConfig(("true",)))
        await start.start(world.engine, id_)
        exec_id = await execs.create(world.engine, id_, ExecConfig(("nosuch",)))
        with pytest.raises(StartFailure):
            await execs.start(world.engine, exec_id, True, False)
        assert execs.get(world.engine, exec_id).exit_code == 126
        with pytest.raises(Conflict, match="already run"):
            await execs.start(world.engine, exec_id, True, False)

    run(tmp_path, scenario)


def test_wait_conditions(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        assert (await wait.wait(world.engine, id_)).code == 0
        with pytest.raises(InvalidArgument, match='invalid condition: "x"'):
            wait.wait(world.engine, id_, "x")
        with pytest.raises(NotFound):
            wait.wait(world.engine, "zz")

    run(tmp_path, scenario)


def test_an_alias_on_the_default_bridge_is_refused(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        wish = {"bridge": EndpointWish("bridge", aliases=("a",))}
        request = create.CreateRequest("c", ContainerConfig(image="busybox"), HostConfig(), networking=wish)
        with pytest.raises(InvalidArgument, match="network-scoped alias is supported only"):
            await create.create(world.engine, request)
        assert left_over(world) == NOTHING

    run(tmp_path, scenario)


def test_a_mount_of_its_own_replaces_an_inherited_one_but_not_another(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "donor", mounts=(MountRequest("volume", "/data", "old"),))
        id_ = await made(world, "heir", volumes_from=("donor",), mounts=(MountRequest("volume", "/data", "new"),))
        assert [point.name for point in query.get(world.engine, id_).mount_points] == ["new"]
        twice = (MountRequest("volume", "/data", "new"), MountRequest("volume", "/data/", "other"))
        with pytest.raises(InvalidArgument, match="Duplicate mount point: /data"):
            await made(world, "twice", mounts=twice)

    run(tmp_path, scenario)

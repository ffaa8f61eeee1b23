"""Update: what goes with what, what is told to the kernel, and that a refusal changes nothing."""

from pathlib import Path

import pytest

from scow.engine.containers import query, start, update
from scow.engine.containers.update import UpdateRequest
from scow.errors import Conflict, InvalidArgument, ScowError
from scow.model.container import Resources, RestartPolicy
from tests.unit.engine.doubles import World
from tests.unit.engine.test_lifecycle import made, run

MB = 1 << 20


def changed(**limits: object) -> UpdateRequest:
    return UpdateRequest(Resources(**limits))  # type: ignore[arg-type]


def test_a_stopped_container_is_changed_for_its_next_start_and_the_next_daemon(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, "c1", resources=Resources(memory=64 * MB))
        assert query.get(world.engine, id_).host.resources.memory_swap == 128 * MB
        wish = UpdateRequest(Resources(memory=100 * MB, cpuset_cpus="0"), RestartPolicy("on-failure", 3))
        await update.update(world.engine, "c1", wish)
        for engine in (world.engine, world.reopened().engine):
            host = query.get(engine, id_).host
            assert host.resources == Resources(memory=100 * MB, memory_swap=128 * MB, cpuset_cpus="0")
            assert host.restart_policy == RestartPolicy("on-failure", 3)
        assert world.actions()[-1] == "container update"

    run(tmp_path, scenario)


def test_a_running_container_gets_what_differs(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, "c1", resources=Resources(memory=64 * MB, pids_limit=5))
        await start.start(world.engine, "c1")
        task = world.supervisor.tasks[id_]
        await update.update(world.engine, "c1", changed(nano_cpus=10**9 // 2))
        await update.update(world.engine, "c1", changed(memory=100 * MB, memory_swap=-1))
        await update.update(world.engine, "c1", changed(pids_limit=-1))
        await update.update(world.engine, "c1", UpdateRequest(restart_policy=RestartPolicy("always")))
        assert task.limits == [
            {"cpu": {"period": 100000, "quota": 50000}},
            {"memory": {"limit": 100 * MB, "swap": -1}},
            {"pids": {"limit": -1}},
        ]

    run(tmp_path, scenario)


def test_what_the_kernel_refuses_changes_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, "c1", resources=Resources(memory=64 * MB))
        await start.start(world.engine, "c1")
        before = query.get(world.engine, id_).host
        world.supervisor.tasks[id_].refusal = InvalidArgument("cannot set memory limit to '7': busy")
        with pytest.raises(InvalidArgument) as refused:
            await update.update(world.engine, "c1", changed(memory=7 * MB))
        assert refused.value.message == f"Cannot update container {id_}: cannot set memory limit to '7': busy"
        assert query.get(world.engine, id_).host == before

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("old", "new", "kind", "sentence"),
    [
        ({}, {"memory": 7 * MB}, Conflict, "Cannot update container ID: Memory limit should be smaller than already set "
         "memoryswap limit, update the memoryswap at the same time"),
        ({"cpu_period": 5000}, {"nano_cpus": 10**8}, Conflict,
         "Cannot update container ID: Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set"),
        ({"cpu_quota": 5000}, {"nano_cpus": 10**8}, Conflict,
         "Cannot update container ID: Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"),
        ({"nano_cpus": 10**8}, {"cpu_quota": 5000}, Conflict,
         "Cannot update container ID: Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"),
        ({}, {"nano_cpus": 10**8, "cpu_quota": 5000}, InvalidArgument,
         "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        ({}, {"memory": 1 * MB}, InvalidArgument, "Minimum memory limit allowed is 6MB"),
        ({"memory": 64 * MB}, {"memory_swap": 50 * MB}, InvalidArgument,
         "Cannot update container ID: Minimum memoryswap limit should be larger than memory limit, see usage"),
    ],
)  # fmt: skip
def test_dockers_sentences(
    tmp_path: Path, old: dict[str, int], new: dict[str, int], kind: type[ScowError], sentence: str
) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world, "c1", resources=Resources(**old))  # type: ignore[arg-type]
        with pytest.raises(kind) as refused:
            await update.update(world.engine, "c1", changed(**new))
        assert refused.value.message == sentence.replace("ID", id_, 1)

    run(tmp_path, scenario)


def test_policies(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "c1", auto_remove=True)
        with pytest.raises(Conflict, match="Restart policy cannot be updated because AutoRemove is enabled"):
            await update.update(world.engine, "c1", UpdateRequest(restart_policy=RestartPolicy("always")))
        with pytest.raises(InvalidArgument, match="unknown policy 'foo'"):
            await update.update(world.engine, "c1", UpdateRequest(restart_policy=RestartPolicy("foo")))

    run(tmp_path, scenario)

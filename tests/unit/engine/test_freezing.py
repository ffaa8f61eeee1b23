"""Standing still for a commit: whose pause it is, and what is left of it."""

import asyncio
from pathlib import Path

from scow.engine.containers import freezing, pause, start
from tests.unit.engine.doubles import World
from tests.unit.engine.test_lifecycle import made, run


def mark(world: World, id_: str) -> Path:
    return world.root / "data/containers" / id_ / "frozen"


def test_two_at_once_share_one_pause(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        await start.start(world.engine, id_)
        entry = world.engine.containers.find(id_)
        first, second = freezing.frozen(world.engine, entry), freezing.frozen(world.engine, entry)
        await asyncio.gather(first.__aenter__(), second.__aenter__())
        assert entry.container.status.state == "paused" and mark(world, id_).exists()
        await first.__aexit__(None, None, None)
        assert entry.container.status.state == "paused" and mark(world, id_).exists()
        await second.__aexit__(None, None, None)
        assert entry.container.status.state == "running" and not mark(world, id_).exists()

    run(tmp_path, scenario)


def test_a_pause_of_the_users_is_left_alone(tmp_path: Path) -> None:
    """Also by the daemon after one that was killed meanwhile: there is no mark."""

    async def scenario(world: World) -> None:
        id_ = await made(world)
        await start.start(world.engine, id_)
        await pause.pause(world.engine, id_)
        entry = world.engine.containers.find(id_)
        async with freezing.frozen(world.engine, entry):
            assert not mark(world, id_).exists()
        await freezing.recover(world.engine, entry)
        assert entry.container.status.state == "paused"

    run(tmp_path, scenario)


def test_one_that_does_not_run_is_not_marked(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        id_ = await made(world)
        entry = world.engine.containers.find(id_)
        async with freezing.frozen(world.engine, entry):
            assert not mark(world, id_).exists()
        assert entry.container.status.state == "created"

    run(tmp_path, scenario)

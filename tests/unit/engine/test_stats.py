"""The sampler: who is read, when, and what a watcher sees."""

import asyncio
from pathlib import Path

import pytest

from scow.engine import sampler
from scow.engine.containers import remove, start, stats, stop
from scow.engine.sampler import Sampler, Subject
from scow.errors import NotFound
from scow.model.stats import Sample
from tests.unit.engine.doubles import World
from tests.unit.engine.test_lifecycle import made, run


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "PERIOD", 0.002)
    monkeypatch.setattr(sampler, "_FRESH", 0.0)


def test_one_that_does_not_run_has_no_figures(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "c1")
        assert (await stats.once(world.engine, "c1")).now is None
        with pytest.raises(NotFound):
            stats.stream(world.engine, "other")

    run(tmp_path, scenario)


def test_a_stream_ends_when_the_container_is_gone(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "c1", network_mode="host")
        await start.start(world.engine, "c1")
        found = stats.stream(world.engine, "c1")
        first, second = await anext(found), await anext(found)
        assert first.now is not None and first.now.processor.total == 7 and first.before is None
        assert second.before == first.now and second.now is not None and second.now.read > first.now.read
        await stop.stop(world.engine, "c1")
        seen = [reading.now async for reading in _until_none(found)]
        assert seen[-1] is None
        await remove.remove(world.engine, "c1")
        async for _ in found:
            pass
        assert not world.engine.sampler._watchers

    run(tmp_path, scenario)


async def _until_none(found):  # type: ignore[no-untyped-def]
    async for reading in found:
        yield reading
        if reading.now is None:
            return


def test_many_watchers_are_served_by_one_reading(tmp_path: Path) -> None:
    readings = []

    def figures() -> tuple[int, dict[str, object]]:
        readings.append(1)
        return 2, {}

    async def scenario() -> None:
        one = Sampler(lambda id_: Subject(figures, 0))
        watching = [one.watch("x") for _ in range(10)]
        firsts = [await anext(item) for item in watching]
        made_at_once = len(readings)
        seconds = await asyncio.gather(*(anext(item) for item in watching))
        assert made_at_once == 10 and all(isinstance(item, Sample) for item in firsts)
        assert len({item.read for item in seconds if item}) <= 2
        for item in watching:
            await item.aclose()  # type: ignore[attr-defined]
        assert not one._watchers and not one._last

    asyncio.run(scenario())


def test_one_whose_figures_cannot_be_read_spoils_nothing(tmp_path: Path) -> None:
    def broken() -> tuple[int, dict[str, object]]:
        raise FileNotFoundError

    found = sampler.read([("bad", Subject(broken, 0)), ("good", Subject(lambda: (1, {}), 0))])
    assert list(found) == ["good"]

"""Pulls, loads, saves, removals, containers and checks at the same time, in every order that chance finds: the store is
whole afterwards, nothing is lost, nothing is left over.

SCOW_RACE_ROUNDS sets the number of rounds (default 3).
"""

import asyncio
import os
import random
from contextlib import aclosing

import pytest

from scow.errors import ScowError
from scow.images import check as checking
from scow.model.image import Image as StoredImage
from scow.oci.reference import Reference
from tests.harness.archives import Made, docker_archive, layer
from tests.harness.faultreg import FaultRegistry
from tests.harness.registry import Image
from tests.integration.images.test_save_load import pieces
from tests.integration.images.world import World

ROUNDS = int(os.environ.get("SCOW_RACE_ROUNDS", "3"))
WORKERS, STEPS = 6, 12
SHARED = [layer("base", 40_000), layer("middle", 20_000)]


class Crowd:
    """Workers on one store. Every step may fail with an error of ours, never otherwise."""

    def __init__(self, world: World, registry: FaultRegistry, seed: int) -> None:
        self.world, self.store = world, world.store
        self.chance = random.Random(seed)
        self.names = [f"{registry.address}/app{number}:latest" for number in range(3)]
        self.archives = [
            docker_archive(Made([*SHARED, layer(f"load{number}")], [f"load{number}:1"]), Made(SHARED[:1], ["small:1"]))
            for number in range(2)
        ]
        self.containers: set[str] = set()
        self.done: dict[str, int] = {}

    async def worker(self, number: int) -> None:
        for step in range(STEPS):
            name = self.chance.choice(("pull", "load", "save", "delete", "tag", "container", "check", "cancelled"))
            try:
                await getattr(self, name)(f"c{number}-{step}")
            except ScowError:
                continue
            self.done[name] = self.done.get(name, 0) + 1

    def any_image(self) -> StoredImage | None:
        images = sorted(self.store.images(), key=lambda image: image.id)
        return self.chance.choice(images) if images else None

    async def pull(self, _: str) -> None:
        await self.store.pull(Reference.parse(self.chance.choice(self.names)), "", None, lambda _: None)

    async def load(self, _: str) -> None:
        await self.store.load(pieces(self.chance.choice(self.archives)), "", lambda _: None)

    async def cancelled(self, mark: str) -> None:
        """An operation whose client leaves at any moment."""
        task = asyncio.ensure_future(self.chance.choice((self.pull, self.load, self.save))(mark))
        for _ in range(self.chance.randrange(40)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def save(self, _: str) -> None:
        image = self.any_image()
        if image is not None:
            async with aclosing(self.store.save([(image, ())])) as archive:
                async for _piece in archive:
                    await asyncio.sleep(0)

    async def delete(self, _: str) -> None:
        image = self.any_image()
        if image is not None:
            await self.store.delete(image.id)

    async def tag(self, mark: str) -> None:
        image = self.any_image()
        if image is not None:
            await self.store.tag(image.id, Reference.parse(f"tag{mark[-1]}:1"))

    async def container(self, mark: str) -> None:
        """Prepared, mounted at some time, removed at another."""
        image = self.any_image()
        if self.containers and self.chance.random() < 0.5:
            await self.world.snapshots.remove(self.containers.pop())
        elif image is not None:
            await self.world.snapshots.prepare(mark, image.chain_ids)
            self.containers.add(mark)
            await asyncio.sleep(0)
            if mark in self.containers:
                assert self.world.snapshots.mounts(mark, image.chain_ids)

    async def check(self, _: str) -> None:
        checked = await self.store.check(self.chance.random() < 0.5)
        assert not checked.findings, checked


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_everything_at_once(world: World, faulty: FaultRegistry, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    for number in range(3):
        faulty.add(f"app{number}", Image([*SHARED[: number + 1], layer(f"app{number}")]))
    crowd = Crowd(world, faulty, seed)

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(crowd.worker(number))
        monkeypatch.setattr(checking, "_YOUNG", -60.0)
        assert not (await world.store.check(False)).findings
        for mark in crowd.containers:
            await world.snapshots.remove(mark)
        for image in world.store.images():
            await world.store.delete(image.id)

    world.run(story())
    assert len(crowd.done) >= 6, crowd.done
    assert world.leftovers() == ([], []) and not os.listdir(world.root / "tmp")
    world.reopen()
    assert not world.store.images() and not world.store.parts.catalog.layers

"""Removal of an image that cannot be read: by its full id, and not from under a container."""

from pathlib import Path

import pytest

from scow.engine.containers import start
from scow.engine.images.remove import Removed, remove
from scow.errors import Conflict
from tests.unit.engine.doubles import IMAGE, World
from tests.unit.engine.test_lifecycle import made, run


def test_an_image_that_cannot_be_read_goes_by_its_id(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        lost = "sha256:" + "b" * 64
        world.images.broken.add(lost)
        assert await remove(world.engine, lost) == [Removed(deleted=lost)]
        assert not world.images.broken and IMAGE.id in world.images.all
        assert world.actions()[-1] == "image delete"

    run(tmp_path, scenario)


def test_its_containers_keep_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await made(world, "c1")
        del world.images.all[IMAGE.id]
        world.images.broken.add(IMAGE.id)
        with pytest.raises(Conflict, match="must be forced.*used by stopped container"):
            await remove(world.engine, IMAGE.id)
        await start.start(world.engine, "c1")
        with pytest.raises(Conflict, match="cannot be forced.*used by running container"):
            await remove(world.engine, IMAGE.id, force=True)
        assert world.images.broken == {IMAGE.id}

    run(tmp_path, scenario)

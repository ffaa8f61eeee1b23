"""One name for several platforms: what it means here and elsewhere, and how each image comes and goes."""

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from scow.engine.context import Engine
from scow.engine.images import query
from scow.engine.images.platforms import choose
from scow.engine.images.remove import remove
from scow.engine.images.save import save
from scow.engine.images.tag import tag
from scow.errors import Conflict, NotFound
from scow.model.image import Image
from scow.oci.reference import Reference
from tests.harness.faultreg import FaultRegistry
from tests.integration.images.platforms import add_index
from tests.integration.images.world import World

_ARCHITECTURES = ("arm64", "amd64", "s390x")


def engine_of(world: World, users: Sequence[str] = ()) -> Engine:
    """As much of an engine as the use cases of images look at; `users` are image ids of running containers."""
    containers = [
        SimpleNamespace(container=SimpleNamespace(id=id_[7:], image_id=id_, status=SimpleNamespace(state="running")))
        for id_ in users
    ]
    events = SimpleNamespace(publish=lambda event: None)
    return cast(
        Engine, SimpleNamespace(images=world.store, containers=containers, events=events, clock=lambda: 1 << 60)
    )


def both(world: World, faulty: FaultRegistry) -> tuple[str, Image, Image]:
    """(the name of an image, the one for this host, the one for s390x)."""
    add_index(faulty, "multi", *_ARCHITECTURES)
    name = f"{faulty.address}/multi:latest"
    other = world.pull(name, "linux/s390x")
    assert world.store.resolve(name).id == other.id  # as long as there is nothing better
    return name, world.pull(name), other


def test_a_second_platform_stays_beside_the_first(world: World, faulty: FaultRegistry) -> None:
    name, here, other = both(world, faulty)
    engine = engine_of(world)
    for _ in range(2):
        assert [image.id for image in world.store.variants(name)] == [here.id, other.id]
        assert choose(engine, name, "").id == choose(engine, name, "linux/amd64").id == here.id
        assert choose(engine, name, "linux/s390x").id == other.id
        assert choose(engine, name, "linux/s390x").tags == (name,)
        with pytest.raises(NotFound, match=r"does not provide the specified platform \(linux/arm64\)"):
            choose(engine, name, "linux/arm64")
        (row,) = query.list_images(engine)
        assert row.id == here.id and row.tags == (name,)
        assert query.list_images(engine, filters={"dangling": ["true"]}) == []
        (entry,) = [
            each
            for each in json.loads((world.root / "images/index.json").read_text())["manifests"]
            if "annotations" in each
        ]
        assert entry["digest"] == world.store.parts.catalog.rows[here.id].listed
        world.reopen()
    assert world.run(world.store.check(False)).findings == ()


def test_pulled_again_it_is_up_to_date(world: World, faulty: FaultRegistry) -> None:
    name, _, _ = both(world, faulty)
    for platform in ("", "linux/s390x"):
        world.progress.clear()
        world.pull(name, platform)
        assert f"Status: Image is up to date for {name}" in world.statuses


def test_a_new_list_takes_the_name_away_from_all(world: World, faulty: FaultRegistry) -> None:
    name, here, other = both(world, faulty)
    add_index(faulty, "multi", *_ARCHITECTURES, salt="new")
    new = world.pull(name)
    assert [image.id for image in world.store.variants(name)] == [new.id]
    for image_id in (here.id, other.id):
        assert world.store.resolve(image_id).tags == ()
    shown = query.list_images(engine_of(world), filters={"dangling": ["true"]})
    assert [image.id for image in shown] == [here.id]  # the digest of the old list has one row, too
    single = world.pull(f"{faulty.address}/multi:s390x")
    world.run(world.store.tag(single.id, Reference.parse(name)))
    assert [image.id for image in world.store.variants(name)] == [single.id]


def test_a_digest_of_the_list_means_both(world: World, faulty: FaultRegistry) -> None:
    index = add_index(faulty, "multi", *_ARCHITECTURES)
    name = f"{faulty.address}/multi@{index}"
    other, here = world.pull(name, "linux/s390x"), world.pull(name)
    assert [image.id for image in world.store.variants(name)] == [here.id, other.id]
    assert [image.id for image in query.list_images(engine_of(world))] == [here.id]
    world.run(remove(engine_of(world), name))
    assert world.store.images() == () and world.leftovers() == ([], [])


def test_a_tag_of_the_name_is_for_all_and_of_an_id_for_one(world: World, faulty: FaultRegistry) -> None:
    name, here, other = both(world, faulty)
    engine = engine_of(world)
    world.run(tag(engine, name, "all"))
    world.run(tag(engine, other.id, "one"))
    assert [image.id for image in world.store.variants("all")] == [here.id, other.id]
    assert [image.id for image in world.store.variants("one")] == [other.id]
    rows = {image.id: image.tags for image in query.list_images(engine)}
    assert rows == {here.id: (name, "all:latest"), other.id: ("one:latest",)}


def test_removal_of_the_name_removes_all(world: World, faulty: FaultRegistry) -> None:
    name, here, other = both(world, faulty)
    with pytest.raises(Conflict, match="is using its referenced image"):
        world.run(remove(engine_of(world, [other.id]), name))
    assert len(world.store.variants(name)) == 2
    lines = world.run(remove(engine_of(world), name))
    assert [line.untagged for line in lines if line.untagged][0] == name
    assert {here.id, other.id} <= {line.deleted for line in lines}
    assert world.store.images() == () and world.leftovers() == ([], [])


def test_removal_of_one_platform_leaves_the_others(world: World, faulty: FaultRegistry) -> None:
    name, here, other = both(world, faulty)
    lines = world.run(remove(engine_of(world), name, platform="linux/s390x"))
    assert [line.deleted for line in lines] == [other.id, *other.chain_ids] and lines[-1].freed == len("s390x")
    assert [image.id for image in world.store.variants(name)] == [here.id]
    assert world.run(world.store.check(False)).findings == ()
    world.pull(name, "linux/s390x")
    world.run(remove(engine_of(world), name, platform="linux/amd64"))
    assert world.store.resolve(name).id == other.id
    assert [image.id for image in query.list_images(engine_of(world))] == [other.id]
    world.run(remove(engine_of(world), other.id))
    assert world.store.images() == () and world.leftovers() == ([], [])


def test_each_is_saved_and_pushed_by_its_platform(world: World, faulty: FaultRegistry) -> None:
    name, here, other = both(world, faulty)

    async def saved(platform: str) -> bytes:
        return b"".join([piece async for piece in save(engine_of(world), [name], platform)])

    for platform, image, absent in (("", here, other), ("linux/s390x", other, here)):
        data = asyncio.run(saved(platform))
        assert image.id[7:].encode() in data and absent.id[7:].encode() not in data
        world.run(world.store.push(Reference.parse(name), False, platform, None, lambda step: None))
        manifest = json.loads(faulty.manifests["multi", "latest"][1])
        assert manifest["config"]["digest"] == image.id
    assert len(world.store.variants(name)) == 2
    with pytest.raises(NotFound, match="wanted linux/arm64, actual: linux/amd64"):
        world.run(world.store.push(Reference.parse(name), False, "linux/arm64", None, lambda step: None))

"""The check of the store finds what is missing, damaged or left over, and puts it right."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from scow.errors import NotFound
from scow.images import check as checking
from scow.images.blobs import BlobStore
from scow.metadata.images import ImageRow
from scow.model.transfer import Checked, Finding
from scow.oci.digest import Digest
from scow.oci.image import ImageConfig
from tests.harness.archives import Made, docker_archive, layer
from tests.harness.faultreg import FaultRegistry
from tests.harness.registry import Image
from tests.integration.images.test_save_load import content, load
from tests.integration.images.world import World

LAYERS = [layer("one"), layer("two", 5000)]


def check(world: World, repair: bool = False, busy: frozenset[str] = frozenset()) -> Checked:
    return world.run(world.store.check(repair, busy))


def problems(world: World, repair: bool = False) -> list[tuple[str, str, bool]]:
    return [(each.problem, each.kind, bool(each.remedy)) for each in check(world, repair).findings]


@pytest.fixture
def name(world: World, faulty: FaultRegistry) -> str:
    faulty.add("app", Image(LAYERS))
    world.pull(f"{faulty.address}/app")
    return f"{faulty.address}/app"


def blobs(world: World) -> list[Path]:
    """Smallest first."""
    return sorted((world.root / "images/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_whole_store(world: World, name: str) -> None:
    checked = check(world, repair=True)
    assert checked.findings == () and checked.layers == 2 and checked.blobs == len(blobs(world))


@pytest.mark.parametrize("how", ["damage", "remove", "shorten"])
def test_every_blob_can_be_had_again(world: World, name: str, how: str) -> None:
    """Each blob in turn: found, fetched again from where the image came (that blob alone), clean afterwards."""
    for number, path in enumerate(blobs(world)):
        before = path.read_bytes()
        if how == "damage":
            damage(path)
        elif how == "remove":
            path.unlink()
        else:
            path.write_bytes(before[:-1])
        kind = "missing" if how == "remove" else "damaged"
        assert (kind, "blob", False) in problems(world), number
        assert problems(world, repair=True) == [(kind, "blob", True)]
        assert path.read_bytes() == before
        assert problems(world) == []


def test_a_config_that_is_damaged_when_the_daemon_starts(world: World, name: str) -> None:
    image_id = world.store.resolve(name).id
    path = Path(world.store.parts.blobs.path(Digest(image_id)))
    damage(path)
    world.reopen()
    with pytest.raises(NotFound):
        world.store.resolve(name)
    found = check(world, repair=True).findings
    assert [(each.kind, bool(each.remedy)) for each in found] == [("blob", True), ("image", True)]
    assert world.store.resolve(name).id == image_id  # with its name
    world.reopen()
    assert content(world, name) == {"one", "two"} and problems(world) == []


def test_a_pull_mends_a_damaged_config(world: World, name: str) -> None:
    image_id = world.store.resolve(name).id
    damage(Path(world.store.parts.blobs.path(Digest(image_id))))
    world.reopen()
    world.pull(name)
    assert world.store.resolve(name).id == image_id
    assert problems(world) == []


def unreadable(world: World, name: str) -> str:
    """The id of the image, whose config is damaged since the daemon started."""
    image_id = world.store.resolve(name).id
    damage(Path(world.store.parts.blobs.path(Digest(image_id))))
    world.reopen()
    return image_id


def test_an_image_that_cannot_be_read_can_be_removed(world: World, name: str) -> None:
    image_id = unreadable(world, name)
    assert world.store.unreadable(image_id) == world.store.unreadable(image_id[7:]) == image_id
    assert world.store.unreadable(name) == world.store.unreadable(image_id[:20]) == ""
    assert list(world.run(world.store.delete(image_id))) == [(image_id, 0)]
    assert world.store.unreadable(image_id) == "" and world.leftovers()[0] == []
    check(world)
    assert world.leftovers() == ([], []) and problems(world) == []  # its layers, too
    world.reopen()
    assert not list(world.store.parts.catalog.names) and world.leftovers() == ([], [])


def test_an_image_that_is_removed_while_the_check_reads_it_stays_away(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = unreadable(world, name)
    read = checking.read_config

    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        def late(row: ImageRow, store: BlobStore) -> ImageConfig:
            config = read(row, store)
            asyncio.run_coroutine_threadsafe(world.store.delete(image_id), loop).result()
            return config

        monkeypatch.setattr(checking, "read_config", late)
        await world.store.check(True)

    world.run(scenario())
    assert not world.store.images() and image_id not in world.store.parts.catalog.rows


def test_no_registry_has_it(world: World) -> None:
    load(world, docker_archive(Made(LAYERS, ["127.0.0.1:1/gone:1"])))
    damage(blobs(world)[-1])
    found = check(world, repair=True).findings
    assert len(found) == 1 and not found[0].remedy and "127.0.0.1:1" in found[0].failure
    assert found[0].images == (world.store.images()[0].id,)
    assert blobs(world)[-1].exists() and world.store.images()  # nothing acknowledged is thrown away


def _change_content(file: Path) -> None:
    stamp = file.stat()
    file.write_bytes(b"x" + file.read_bytes()[1:])
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        _change_content,
        Path.unlink,
        lambda file: os.chmod(file, 0o600),
        lambda file: os.chown(file, 3, 4),
        lambda file: os.utime(file, (1, 1)),
        lambda file: os.setxattr(file, "user.x", b"y"),
        lambda file: file.with_name("more").write_bytes(b""),
        lambda file: os.link(file, file.with_name("linked")),
        lambda file: (file.unlink(), file.symlink_to("/etc/passwd")),
    ],
)
def test_a_changed_tree_is_unpacked_again(world: World, name: str, change) -> None:  # type: ignore[no-untyped-def]
    file = next((world.root / "layers").glob("*/two"))
    change(file)
    assert problems(world) == [("damaged", "layer", False)]
    assert problems(world, repair=True) == [("damaged", "layer", True)]
    assert problems(world) == [] and content(world, name) == {"one", "two"}
    world.reopen()
    assert problems(world) == [] and content(world, name) == {"one", "two"}


def test_a_missing_tree_is_unpacked_again(world: World, name: str) -> None:
    import shutil

    for directory in (world.root / "layers").iterdir():
        shutil.rmtree(directory)
    assert problems(world, repair=True) == [("missing", "layer", True)] * 2
    assert content(world, name) == {"one", "two"}


def test_a_mounted_layer_is_left_alone(world: World, name: str) -> None:
    file = next((world.root / "layers").glob("*/two"))
    os.chmod(file, 0o600)
    chain = frozenset(str(each) for each in world.store.resolve(name).chain_ids)
    found = check(world, True, chain).findings
    assert [each.failure for each in found] == ["a running container uses it: stop it first"]
    assert file.exists()


def test_a_blob_that_vanishes_under_the_check_ends_nothing(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = checking.blob_problem

    def look(store: BlobStore, digest: Digest, size: int) -> str:
        found = real(store, digest, size)
        path = Path(store.path(digest))
        if path.read_bytes().startswith(b"\x1f\x8b"):  # a layer
            path.unlink()
        return found

    monkeypatch.setattr(checking, "blob_problem", look)
    findings = check(world).findings
    assert [(each.kind, "is missing" in each.failure) for each in findings] == [("layer", True)] * 2


def test_orphans(world: World, name: str) -> None:
    blob = world.root / "images/blobs/sha256" / ("0" * 64)
    blob.write_bytes(b"?")
    assert problems(world, repair=True) == []  # it has just come: somebody may be about to name it
    os.utime(blob, (time.time() - 60,) * 2)
    (world.root / "layers/stranger").mkdir()
    assert problems(world) == [("orphaned", "blob", False), ("orphaned", "directory", False)]
    assert problems(world, repair=True) == [("orphaned", "blob", True), ("orphaned", "directory", True)]
    assert not blob.exists() and problems(world) == []


def test_everything_removed_is_gone_from_the_disk(world: World, name: str) -> None:
    load(world, docker_archive(Made([*LAYERS, layer("three")], ["more:1"])))
    for image in world.store.images():
        world.run(world.store.delete(image.id))
    assert world.leftovers() == ([], [])
    assert not world.store.images() and not world.store.parts.catalog.layers
    assert not check(world).findings


def test_layers_stay_for_a_container_whose_image_is_gone(world: World, name: str) -> None:
    chain = world.store.resolve(name).chain_ids
    world.run(world.snapshots.prepare("c1", chain))
    world.run(world.store.delete(world.store.resolve(name).id))
    assert len(world.leftovers()[1]) == 2 and world.leftovers()[0] == []
    world.reopen()
    world.snapshots.sweep({"c1": chain})
    assert world.snapshots.mounts("c1", chain)
    assert problems(world) == []
    world.run(world.snapshots.remove("c1"))
    assert world.leftovers() == ([], [])


def test_layers_of_a_container_that_a_crash_took_go_at_the_next_start(world: World, name: str) -> None:
    chain = world.store.resolve(name).chain_ids
    world.run(world.snapshots.prepare("c1", chain))
    world.run(world.store.delete(world.store.resolve(name).id))
    world.reopen()
    world.snapshots.sweep({})
    assert world.leftovers() == ([], []) and not os.listdir(world.root / "rw")


def test_a_finding_names_its_images(world: World, name: str) -> None:
    damage(blobs(world)[-1])
    (found,) = check(world).findings
    assert isinstance(found, Finding) and found.images == (world.store.resolve(name).id,)

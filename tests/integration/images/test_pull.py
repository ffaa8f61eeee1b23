"""Pull: the good ways, the words, and what is on disk afterwards."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from scow.errors import Conflict, InvalidArgument, NotFound, ScowError
from scow.images.probe import features
from scow.linux import libc
from scow.oci.reference import Reference
from tests.harness.faultreg import FaultRegistry
from tests.harness.registry import Image, digest
from tests.integration.images.platforms import add_index
from tests.integration.images.world import World
from tests.unit.images.craft import archive, directory, file, hardlink, symlink

BASE = archive(directory(b"etc"), file(b"etc/motd", b"hello"), file(b"big", bytes(range(256)) * 4000))
TOP = archive(directory(b"etc"), file(b"etc/new", b"n"), file(b".wh.big"))


@pytest.mark.parametrize("compress", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("oci", [False, True])
def test_pulls_every_kind(world: World, faulty: FaultRegistry, compress: str, oci: bool) -> None:
    faulty.add("team/app", Image([BASE, TOP], {"Env": ["A=1", "HOST"], "Cmd": ["x"]}, compress, oci))
    image = world.pull(f"{faulty.address}/team/app")
    assert image.tags == (f"{faulty.address}/team/app:latest",)
    assert image.digests == (f"{faulty.address}/team/app@{digest(faulty.manifests['team/app', 'latest'][1])}",)
    assert image.config.env == ("A=1",)  # CVE-2026-57231: a bare name is never looked up on the host
    assert image.config.cmd == ("x",) and image.config.entrypoint is None
    assert image.size == 5 + 256 * 4000 + 1
    lowers, upper, work = world.snapshots.directories("c1", image.chain_ids)
    assert open(f"{lowers[1]}/etc/motd").read() == "hello" and os.stat(f"{lowers[0]}/big").st_rdev == 0
    assert (upper, work) == (f"{world.root}/rw/c1/diff", f"{world.root}/rw/c1/work")
    assert world.store.layer_sizes(image.id) == [5 + 256 * 4000, 1]


def test_progress_in_dockers_words(world: World, faulty: FaultRegistry) -> None:
    manifest = faulty.add("app", Image([BASE, TOP]))
    name = f"{faulty.address}/app"
    one, two = (layer["digest"][7:19] for layer in manifest["layers"])
    top = digest(faulty.manifests["app", "latest"][1])
    world.pull(name)
    said = [text for text in world.statuses if "Downloading" not in text]
    assert said[:3] == ["latest: Pulling from app", f"{one}: Pulling fs layer", f"{two}: Pulling fs layer"]
    assert said[-2:] == [f"Digest: {top}", f"Status: Downloaded newer image for {name}:latest"]
    for layer in (one, two):
        steps = [text.partition(": ")[2] for text in said if text.startswith(layer)]
        assert steps == ["Pulling fs layer", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"]
    assert said.index(f"{one}: Pull complete") < said.index(f"{two}: Pull complete")
    world.progress.clear()
    world.pull(name)
    assert world.statuses == [
        "latest: Pulling from app", f"Digest: {top}", f"Status: Image is up to date for {name}:latest",
    ]  # fmt: skip


def test_shared_layers_are_not_fetched_again(world: World, faulty: FaultRegistry) -> None:
    first = faulty.add("one", Image([BASE]))
    faulty.add("two", Image([BASE, TOP]))
    world.pull(f"{faulty.address}/one")
    before = faulty.count("layer")
    world.progress.clear()
    image = world.pull(f"{faulty.address}/two")
    assert faulty.count("layer") == before + 1
    assert f"{first['layers'][0]['digest'][7:19]}: Already exists" in world.statuses
    assert len(world.leftovers()[1]) == 2 and len(image.chain_ids) == 2


def test_two_pulls_at_once_share_the_work(world: World, faulty: FaultRegistry) -> None:
    faulty.add("one", Image([BASE, TOP]))
    faulty.add("two", Image([BASE, TOP], {"Cmd": ["other"]}))

    async def both() -> None:
        names = [Reference.parse(f"{faulty.address}/{name}") for name in ("one", "two", "one", "two")]
        await asyncio.gather(*(world.store.pull(name, "", None, world.progress.append) for name in names))

    world.run(both())
    assert faulty.count("layer") == 2
    assert len(world.store.images()) == 2 and len(world.leftovers()[1]) == 2


def test_by_digest_and_by_platform(world: World, faulty: FaultRegistry) -> None:
    index = add_index(faulty, "multi", "arm64", "amd64", "s390x")
    name = f"{faulty.address}/multi"
    assert world.pull(name, "linux/s390x").architecture == "s390x"
    assert world.pull(name, "linux/arm64/v8").architecture == "arm64"
    pinned = world.pull(f"{name}@{index}", "linux/amd64")
    assert pinned.architecture == "amd64" and pinned.tags == ()
    assert pinned.digests == (f"{name}@{index}",)
    assert world.store.resolve(f"{name}@{index}").id == pinned.id
    with pytest.raises(NotFound, match="no matching manifest for linux/riscv64 in the manifest list entries"):
        world.pull(name, "linux/riscv64")
    with pytest.raises(
        NotFound, match="does not match the specified platform: wanted linux/arm64, actual: linux/s390x"
    ):
        world.pull(f"{name}:s390x", "linux/arm64")


def test_names(world: World, faulty: FaultRegistry) -> None:
    faulty.add("app", Image([BASE]))
    image = world.pull(f"{faulty.address}/app")
    tag = Reference.parse("mine:v1")
    world.run(world.store.tag(image.id, tag))
    for name in ("mine:v1", image.id, image.id[7:], image.id[7:19], image.id[:15], f"{faulty.address}/app"):
        assert world.store.resolve(name).id == image.id
    for name, sentence in (
        ("mine", "No such image: mine:latest"),
        ("sha256:" + "0" * 64, "No such image: sha256:" + "0" * 64),
        ("0" * 64, "No such image: sha256:" + "0" * 64),
        ("sha256:aaaaa", "No such image: sha256:aaaaa"),
        (f"mine@sha256:{'a' * 64}", f"No such image: mine@sha256:{'a' * 64}"),
    ):
        with pytest.raises(NotFound) as caught:
            world.store.resolve(name)
        assert caught.value.message == sentence
    with pytest.raises(InvalidArgument):
        world.store.resolve("Mine")
    with pytest.raises(NotFound):  # name and digest must both be recorded, moby 20.10.20
        world.store.resolve(f"mine@{image.digests[0].partition('@')[2]}")
    world.reopen()
    assert set(world.store.resolve("mine:v1").tags) == {"mine:v1", f"{faulty.address}/app:latest"}
    world.run(world.store.untag(tag))
    assert world.store.resolve(image.id).tags == (f"{faulty.address}/app:latest",)
    world.run(world.store.untag(Reference.parse(image.digests[0])))
    assert world.store.resolve(image.id).digests == ()


def test_a_name_moves(world: World, faulty: FaultRegistry) -> None:
    faulty.add("app", Image([BASE]))
    old = world.pull(f"{faulty.address}/app")
    faulty.add("app", Image([TOP]))
    new = world.pull(f"{faulty.address}/app")
    assert world.store.resolve(old.id).tags == () and new.tags == old.tags
    assert world.statuses[-1].startswith("Status: Downloaded newer image")


def test_delete_leaves_nothing(world: World, faulty: FaultRegistry) -> None:
    faulty.add("one", Image([BASE]))
    faulty.add("two", Image([BASE, TOP]))
    one, two = (world.pull(f"{faulty.address}/{name}") for name in ("one", "two"))
    assert [name for name, _ in world.run(world.store.delete(two.id))] == [two.id, two.chain_ids[1]]
    assert world.store.resolve(one.id).size == one.size and len(world.leftovers()[1]) == 1
    assert [name for name, _ in world.run(world.store.delete(one.id))] == [one.id, one.chain_ids[0]]
    assert world.leftovers() == ([], []) and world.store.images() == ()
    assert json.loads((world.root / "images/index.json").read_text())["manifests"] == []
    with pytest.raises(NotFound):
        world.run(world.store.delete(one.id))


def test_a_deletion_tells_layers_of_the_build_cache_but_none_of_containers(world: World, faulty: FaultRegistry) -> None:
    faulty.add("one", Image([BASE, TOP]))
    catalog = world.store.parts.catalog
    one = world.pull(f"{faulty.address}/one")
    with catalog.hold(one.chain_ids):
        below, top = one.chain_ids
        assert world.run(world.store.delete(one.id)) == [(one.id, 0), (top, 0), (below, 0)]
        again = world.pull(f"{faulty.address}/one")
    catalog.pin("container", [below])
    size = world.store.layer_sizes(again.id)[1]
    assert world.run(world.store.delete(again.id)) == [(again.id, 0), (top, size)]


def test_same_content_at_another_place_shares_the_directory(world: World, faulty: FaultRegistry) -> None:
    faulty.add("one", Image([BASE]))
    faulty.add("two", Image([TOP, BASE]))
    one, two = (world.pull(f"{faulty.address}/{name}") for name in ("one", "two"))
    assert len(world.leftovers()[1]) == 2
    world.run(world.store.delete(one.id))
    lowers, _, _ = world.snapshots.directories("c", two.chain_ids)
    assert os.path.exists(f"{lowers[0]}/etc/motd")


def test_hard_links_to_the_layer_below(world: World, faulty: FaultRegistry) -> None:
    faulty.add("app", Image([BASE, archive(hardlink(b"etc/again", b"etc/motd"))]))
    image = world.pull(f"{faulty.address}/app")
    lowers, _, _ = world.snapshots.directories("c", image.chain_ids)
    again, motd = (os.stat(f"{lowers[0]}/etc/{name}") for name in ("again", "motd"))
    assert again.st_ino == motd.st_ino and again.st_size == 5
    faulty.add("bad", Image([BASE, archive(hardlink(b"x", b"nowhere"))]))
    with pytest.raises(Exception, match="nowhere"):
        world.pull(f"{faulty.address}/bad")
    assert len(world.leftovers()[1]) == 2


ETC = directory(b"etc", mode=0o700, uid=7)
SECRETS = archive(ETC, file(b"etc/motd", b"hello"), file(b"other", b"1"))
LINKS = {
    "the target goes": (
        [SECRETS, archive(ETC, hardlink(b"again", b"etc/motd"), file(b"etc/.wh.motd"))],
        {"again": b"hello", "other": b"1"},
    ),
    "the target is replaced": (
        [
            SECRETS,
            archive(ETC, *(hardlink(name, b"etc/motd") for name in (b"again", b"third")), file(b"etc/motd", b"new")),
        ],
        {"again": b"hello", "third": b"hello", "etc/motd": b"new", "other": b"1"},
    ),
    "the link is replaced": (
        [SECRETS, archive(hardlink(b"again", b"etc/motd"), file(b"again", b"new"))],
        {"again": b"new", "etc/motd": b"hello", "other": b"1"},
    ),
    "the link replaces": (
        [SECRETS, archive(file(b"again", b"old"), hardlink(b"again", b"other"), hardlink(b"again", b"etc/motd"))],
        {"again": b"hello", "etc/motd": b"hello", "other": b"1"},
    ),
    "the target has been another": (
        [SECRETS, archive(file(b"other", b"2")), archive(hardlink(b"again", b"other"))],
        {"again": b"2", "etc/motd": b"hello", "other": b"2"},
    ),
    "through a link of a layer below": (
        [SECRETS, archive(symlink(b"l", b"/etc")), archive(hardlink(b"again", b"l/motd"))],
        {"again": b"hello", "etc/motd": b"hello", "other": b"1"},
    ),
}


@pytest.mark.parametrize("case", LINKS)
def test_hard_links_are_made_in_order(world: World, faulty: FaultRegistry, tmp_path: Path, case: str) -> None:
    """What the kernel shows is what an archive says that is applied to one tree, entry by entry."""
    layers, expected = LINKS[case]
    faulty.add("app", Image(list(layers)))
    image = world.pull(f"{faulty.address}/app")
    lowers, _, _ = world.snapshots.directories("c", image.chain_ids)
    merged = tmp_path / "merged"
    merged.mkdir()
    libc.mount("overlay", str(merged), "overlay", 0, f"lowerdir={':'.join(lowers)}".encode())
    try:
        found = {path for path in merged.rglob("*") if path.is_file() and "l" not in path.relative_to(merged).parts}
        assert {str(path.relative_to(merged)): path.read_bytes() for path in found} == expected
        etc = (merged / "etc").stat()
        assert (stat.S_IMODE(etc.st_mode), etc.st_uid) == (0o700, 7)
    finally:
        libc.umount2(str(merged))


@pytest.mark.parametrize(
    "middle", [archive(file(b"etc/.wh.motd")), archive(file(b".wh.etc")), archive(file(b"etc/.wh..wh..opq"))]
)
def test_a_link_to_what_a_layer_between_has_removed(world: World, faulty: FaultRegistry, middle: bytes) -> None:
    faulty.add("app", Image([SECRETS, middle, archive(hardlink(b"again", b"etc/motd"))]))
    with pytest.raises(ScowError, match="hard link to 'etc/motd', which does not exist"):
        world.pull(f"{faulty.address}/app")
    assert world.leftovers() == ([], [])


def test_the_layout_is_an_oci_layout(world: World, faulty: FaultRegistry) -> None:
    faulty.add("app", Image([BASE, TOP]))
    image = world.pull(f"{faulty.address}/app")
    layout = world.root / "images"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == f"{faulty.address}/app:latest"
    manifest = json.loads((layout / "blobs/sha256" / entry["digest"][7:]).read_bytes())
    assert manifest["mediaType"] == entry["mediaType"] and manifest["config"]["digest"] == image.id
    for blob in (entry, manifest["config"], *manifest["layers"]):
        data = (layout / "blobs/sha256" / blob["digest"][7:]).read_bytes()
        assert digest(data) == blob["digest"] and len(data) == blob["size"]


def test_a_crash_leaves_only_what_the_next_start_sweeps(world: World, faulty: FaultRegistry) -> None:
    faulty.add("app", Image([BASE]))
    image = world.pull(f"{faulty.address}/app")
    kept = world.leftovers()
    (world.root / "images/ingest/half").write_bytes(b"x")
    (world.root / "images/blobs/sha256" / ("0" * 64)).write_bytes(b"x")
    (world.root / "layers/orphan/etc").mkdir(parents=True)
    (world.root / "images/index.json").write_bytes(b"old")
    world.reopen()
    assert world.leftovers() == kept
    assert world.store.resolve(image.id).tags == image.tags
    assert json.loads((world.root / "images/index.json").read_text())["manifests"]


def test_a_damaged_config_does_not_stop_the_store(world: World, faulty: FaultRegistry) -> None:
    faulty.add("one", Image([BASE]))
    faulty.add("two", Image([TOP]))
    one, two = (world.pull(f"{faulty.address}/{name}") for name in ("one", "two"))
    (world.root / "images/blobs/sha256" / one.id[7:]).write_bytes(b"{}")
    world.reopen()
    assert [image.id for image in world.store.images()] == [two.id]


def test_snapshots(world: World, faulty: FaultRegistry) -> None:
    faulty.add("app", Image([BASE, TOP]))
    image = world.pull(f"{faulty.address}/app")

    async def work() -> None:
        snapshots = world.snapshots
        await snapshots.prepare("c1", image.chain_ids)
        with pytest.raises(Conflict):
            await snapshots.prepare("c1", image.chain_ids)
        (mount,) = snapshots.mounts("c1", image.chain_ids)
        lowers, upper, scratch = snapshots.directories("c1", image.chain_ids)
        assert mount["type"] == "overlay"
        assert mount["options"] == [
            f"lowerdir={lowers[0]}:{lowers[1]}",
            f"upperdir={upper}",
            f"workdir={scratch}",
            *features(),
        ]
        there = os.stat(upper)
        assert (there.st_mode & 0o7777, there.st_uid) == (0o755, 0)
        with open(f"{upper}/x", "wb") as stream:
            stream.write(b"12345")
        os.link(f"{upper}/x", f"{upper}/y")
        os.symlink("abc", f"{upper}/z")
        assert await snapshots.usage("c1") == 8
        await snapshots.remove("c1")
        await snapshots.remove("c1")
        assert not os.path.exists(f"{world.root}/rw/c1")
        with pytest.raises(NotFound):
            snapshots.mounts("c1", image.chain_ids)
        await snapshots.prepare("c2", ())
        (mount,) = snapshots.mounts("c2", ())
        assert mount["type"] == "bind"
        with pytest.raises(NotFound):
            snapshots.mounts("c2", ["sha256:" + "0" * 64])

    world.run(work())


def test_snapshots_without_overlayfs(world: World, faulty: FaultRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scow.images.store.overlay_works", lambda _: False)
    world.reopen()
    faulty.add("app", Image([BASE, TOP]))
    image = world.pull(f"{faulty.address}/app")

    async def work() -> None:
        await world.snapshots.prepare("c1", image.chain_ids)
        (mount,) = world.snapshots.mounts("c1", image.chain_ids)
        assert mount == {"type": "bind", "source": f"{world.root}/rw/c1/diff", "options": ["rbind", "rw"]}
        assert sorted(os.listdir(mount["source"])) == [".dockerenv", "etc"]
        assert sorted(os.listdir(mount["source"] + "/etc")) == ["motd", "new"]

    world.run(work())


def test_overlay_is_found_where_it_works(world: World) -> None:
    from scow.images.probe import overlay_works

    mounts = open("/proc/self/mountinfo").read()
    assert overlay_works(str(world.root)) and not overlay_works("/proc")
    assert open("/proc/self/mountinfo").read() == mounts and "probe" not in " ".join(os.listdir(world.root))

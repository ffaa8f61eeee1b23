"""The hostile corpus through every door by which archives come: a layer that is pulled, one of an archive that is loaded,
one that is imported, and the unpacker itself. Beside it stands what the archives aim at, and nothing about it changes.
"""

import gzip
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from scow.errors import ScowError
from scow.images import importing
from scow.images.archive.limits import Limits
from scow.images.decompress import Decompressed
from scow.images.layer import unpack_into
from scow.model.container import ContainerConfig
from scow.model.image import Image as StoredImage
from scow.model.making import NewImage
from scow.oci.reference import Reference
from tests.harness.archives import Made, docker_archive
from tests.harness.faultreg import FaultRegistry
from tests.harness.hostile import Case, corpus, outside
from tests.harness.registry import Image
from tests.integration.images.test_save_load import pieces
from tests.integration.images.world import World
from tests.unit.images.craft import archive, directory, file, hardlink, header, pax, source, symlink

Door = Callable[[World, bytes], StoredImage]
NAME = Reference.parse("hostile/app:1")


@pytest.fixture
def aim() -> Iterator[Path]:
    with outside() as root:
        yield root


@pytest.fixture
def doors(faulty: FaultRegistry) -> dict[str, Door]:
    def pulled(world: World, data: bytes) -> StoredImage:
        faulty.add("app", Image([data], compress="none"))
        return world.pull(f"{faulty.address}/app")

    return {"pull": pulled, "load": loaded, "import": imported}


def loaded(world: World, data: bytes) -> StoredImage:
    image = docker_archive(Made([data], ["hostile/app:1"]))
    (done,) = world.run(world.store.load(pieces(image), "", world.progress.append))
    return world.store.resolve(done.image_id)


def imported(world: World, data: bytes) -> StoredImage:
    writer = importing.writer_of(source(data), world.store.parts.limits)
    return world.run(world.store.make(NewImage(ContainerConfig(), 0, names=(NAME,)), writer))


def tree_of(world: World, image: StoredImage) -> Path | None:
    lowers, _, _ = world.snapshots.directories("c", image.chain_ids)
    return Path(lowers[0]) if lowers else None


def contained(root: Path, aim: Path, case: Case) -> None:
    """The tree has what it should, no file of outside is in it, and nothing steers overlayfs."""
    assert stat.S_ISDIR(root.lstat().st_mode), case.name
    for name in case.there or ():
        assert os.path.lexists(os.path.join(os.fsencode(root), name)), case.name
    inode = (aim / "file").stat().st_ino
    for path in root.rglob("*"):
        assert path.lstat().st_ino != inode or path.lstat().st_dev != aim.stat().st_dev, case.name
        if not path.is_symlink():
            words = [key for key in os.listxattr(path) if ".overlay." in key]
            assert words in ([], ["trusted.overlay.opaque"]), case.name


@pytest.mark.parametrize("door", ["pull", "load", "import"])
def test_nothing_outside_is_touched(world: World, aim: Path, doors: dict[str, Door], door: str) -> None:
    """A case that has a tree to come of it gives that tree, any other one is refused and leaves nothing."""
    cases = corpus(os.fsencode(aim))
    assert len(cases) >= 300
    wrong = []
    for case in cases:
        try:
            image = doors[door](world, case.data)
        except ScowError:
            image = None
        if (image is None) != (case.there is None):
            wrong.append(f"{case.name} ({', '.join(case.weaknesses)}): {'refused' if image is None else 'taken'}")
        if image is not None:
            root = tree_of(world, image)
            assert root is not None, case.name
            contained(root, aim, case)
            world.run(world.store.delete(image.id))
        assert world.leftovers() == ([], []) and not os.listdir(world.root / "tmp"), case.name
    assert not wrong, "\n".join(wrong)
    image = doors[door](world, archive(file(b"x", b"1")))  # and the store goes on
    assert image.size == 1


def test_the_unpacker_alone(tmp_path: Path, aim: Path) -> None:
    """What it takes is contained; links that wait for a layer below are no refusal here."""
    for number, case in enumerate(corpus(os.fsencode(aim))):
        target = tmp_path / str(number)
        target.mkdir(mode=0o755)
        try:
            unpack_into(str(target), Decompressed(source(case.data), Limits()))
            contained(target, aim, case)
        except ScowError:
            assert case.there is None, case.name
        assert stat.S_ISDIR(target.lstat().st_mode)
        shutil.rmtree(target)


COMPRESSED = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": __import__("lzma").compress,
    "bzip2": __import__("bz2").compress,
}
_watched: list[str] = []
_watching = [False]


def _hook(event: str, _: object) -> None:
    if _watching[0] and event in (
        "subprocess.Popen",
        "os.exec",
        "os.posix_spawn",
        "os.system",
        "os.fork",
        "os.forkpty",
    ):
        _watched.append(event)


@pytest.mark.parametrize("kind", COMPRESSED)
def test_cve_2014_9357_nothing_is_executed(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """CVE-2014-9357, CVE-2026-41567: decoys of every decompressor lie in the layer and first on the path."""
    decoys = [f"{where}/{name}" for where in ("bin", "usr/bin") for name in ("xz", "unpigz", "gzip", "bzip2", "zstd")]
    script = f"#!/bin/sh\necho ran >{tmp_path}/token\n".encode()
    data = archive(*(file(name.encode(), script, mode=0o755) for name in decoys))
    (tmp_path / "path").mkdir()
    for name in decoys:
        decoy = tmp_path / "path" / name.rpartition("/")[2]
        decoy.write_bytes(script)
        decoy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/path")
    sys.addaudithook(_hook)
    _watched.clear()
    _watching[0] = True
    try:
        layer = COMPRESSED[kind](data)
        first = imported(world, layer)
        whole = COMPRESSED[kind](docker_archive(Made([data], ["a:1"])))
        world.run(world.store.load(pieces(whole), "", world.progress.append))
    finally:
        _watching[0] = False
    assert _watched == [] and not (tmp_path / "token").exists()
    root = tree_of(world, first)
    assert root is not None and (root / "usr/bin/xz").read_bytes() == script


def test_cve_2025_47290_the_place_is_private(world: World) -> None:
    """Nobody else can reach, let alone change, a tree while it is unpacked."""
    imported(world, archive(directory(b"d", mode=0o777), file(b"d/x", b"1")))
    for path in (world.root / "layers", world.root / "tmp", world.root / "images" / "ingest"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0, path


@pytest.mark.parametrize("step", ["mkdir", "open", "symlink", "link", "setxattr", "utime", "chmod", "chown", "mknod"])
def test_cve_2025_47290_a_directory_that_is_exchanged(
    tmp_path: Path, aim: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between any two steps of the unpacker its directory `d` becomes a link: it goes on with the one that it opened."""
    target = tmp_path / "t"
    target.mkdir()
    real = getattr(os, step)

    def exchanged(*args: object, **options: object) -> object:
        there = target / "d"
        if there.is_dir() and not there.is_symlink():
            os.rename(there, tmp_path / "away")
            there.symlink_to(aim)
            monkeypatch.setattr(os, step, real)
        return real(*args, **options)

    data = archive(
        directory(b"d", mode=0o711, uid=5),
        pax({"SCHILY.xattr.user.evil": b"1"}),
        file(b"d/file", b"evil", mode=0o4755, uid=7),
        symlink(b"d/link", b"x"),
        directory(b"d/dir", mode=0o777, uid=9),
        header(b"d/pipe", b"6", mode=0o666, uid=7),
        file(b"d/.wh.hard"),
        hardlink(b"d/again", b"d/file"),
        file(b"f", b"1"),
        b"".join((directory(b"e"), file(b"e/x", b"1"), file(b"d/late", b"evil"))),
    )
    monkeypatch.setattr(os, step, exchanged)
    try:
        unpack_into(str(target), Decompressed(source(data), Limits()))
    except ScowError:
        pass
    assert (tmp_path / "away").is_dir()


def test_cve_2021_20291_a_bad_layer_holds_nobody_up(world: World, faulty: FaultRegistry) -> None:
    """While some pulls fail at what they decompress, the others end, and later ones do."""
    import asyncio

    good = [archive(file(b"x%d" % number, os.urandom(50_000))) for number in range(4)]
    for number, layer in enumerate(good):
        faulty.add(f"good{number}", Image([layer, good[0]]))
        faulty.add(f"bad{number}", Image([layer + b"garbage", layer], compress="zstd" if number % 2 else "gzip"))

    async def pull(name: str) -> str:
        try:
            return (await world.store.pull(Reference.parse(f"{faulty.address}/{name}"), "", None, lambda _: None)).id
        except ScowError:
            return ""

    async def everything() -> list[str]:
        return await asyncio.gather(*(pull(f"{kind}{number}") for number in range(4) for kind in ("bad", "good")))

    done = world.run(everything())
    assert all(done[1::2]) and all(world.store.resolve(each) for each in done[1::2])
    assert world.run(pull("good0")) == done[1]


def test_cve_2026_24054_an_image_without_layers(world: World) -> None:
    """Its containers get a fresh directory of their own, and nothing of the engine's."""
    (done,) = world.run(world.store.load(pieces(docker_archive(Made([], ["none:1"]))), "", world.progress.append))
    image = world.store.resolve(done.image_id)
    world.run(world.snapshots.prepare("c1", image.chain_ids))
    (mount,) = world.snapshots.mounts("c1", image.chain_ids)
    assert mount["type"] == "bind" and mount["source"] == f"{world.root}/rw/c1/diff"
    assert os.listdir(mount["source"]) == [".dockerenv"]


def test_cve_2014_6408_an_image_brings_no_policy(world: World) -> None:
    """Fields of a host's configuration are nothing, reserved labels (CVE-2026-53488) are data."""
    forged = {
        "HostConfig": {"Privileged": True, "Binds": ["/:/h"]},
        "SecurityOpt": ["seccomp=unconfined"],
        "CapAdd": ["ALL"],
    }
    labels = {"com.docker.compose.project": "x", "io.scow.restart": "always", "containerd.io/restart.status": "running"}
    (done,) = world.run(
        world.store.load(
            pieces(docker_archive(Made([], ["a:1"], {"Cmd": ["x"], **forged, "Labels": labels}))),
            "",
            world.progress.append,
        )
    )
    assert world.store.resolve(done.image_id).config == ContainerConfig(cmd=("x",), labels=labels)

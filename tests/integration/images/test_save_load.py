"""Archives of images: what is saved can be loaded, and of a bad archive nothing stays."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import zstandard

from scow.errors import DataLoss, NotFound, ResourceExhausted, ScowError
from scow.model.container import ContainerConfig
from scow.model.making import NewImage
from scow.model.transfer import Loaded
from scow.oci.digest import Digest
from scow.oci.reference import Reference
from tests.harness.archives import Made, docker_archive, docker_members, layer, layout_members, sha256, tar
from tests.integration.images.world import World


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 60_000):
        yield data[start : start + 60_000]


def load(world: World, data: bytes, platform: str = "") -> list[Loaded]:
    return list(world.run(world.store.load(pieces(data), platform, world.progress.append)))


def save(world: World, *names: str) -> bytes:
    selection = [(world.store.resolve(name), (Reference.parse(name).with_default_tag(),)) for name in names]

    async def work() -> bytes:
        return b"".join([piece async for piece in world.store.save(selection)])

    return world.run(work())


def content(world: World, name: str) -> set[str]:
    """The files of an image's layers."""
    layers = world.store.parts.catalog.layers
    found = set()
    for chain_id in world.store.resolve(name).chain_ids:
        for directory, _, files in os.walk(world.store.parts.trees.path(layers[chain_id].directory)):
            found |= {os.path.join(directory, file).rpartition("/")[2] for file in files}
    return found


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry)) and entry.isfile()}


ONE = Made([layer("one"), layer("two")], ["app:1", "example.com/other:x"], {"Cmd": ["sh"], "Labels": {"a": "b"}})
TWO = Made([layer("one"), layer("three", 300_000)], ["second:latest"], {"Cmd": ["two"]})


def test_what_is_saved_can_be_loaded(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    load(world, docker_archive(ONE, TWO))
    saved = save(world, "app:1", "second")
    other = World(tmp_path_factory.mktemp("other"))
    try:
        loaded = load(other, saved)
        assert [each.image_id for each in loaded] == [ONE.id, TWO.id]
        assert [each.names for each in loaded] == [("app:1",), ("second:latest",)]
        assert content(other, "app:1") == {"one", "two"}
        rows, others = world.store.parts.catalog.rows, other.store.parts.catalog.rows
        assert {id_: row.manifest for id_, row in rows.items()} == {id_: row.manifest for id_, row in others.items()}
        assert save(other, "app:1", "second") == saved  # the same images give the same bytes
    finally:
        other.close()


def test_both_formats_say_the_same(world: World) -> None:
    load(world, docker_archive(ONE, TWO))
    found = members(save(world, "app:1", "second"))
    items = json.loads(found["manifest.json"])
    assert [item["RepoTags"] for item in items] == [["app:1"], ["second:latest"]]
    manifests = [
        json.loads(found[f"blobs/sha256/{each['digest'][7:]}"]) for each in json.loads(found["index.json"])["manifests"]
    ]
    for item, manifest in zip(items, manifests, strict=True):
        assert item["Config"] == f"blobs/sha256/{manifest['config']['digest'][7:]}"
        assert item["Layers"] == [f"blobs/sha256/{each['digest'][7:]}" for each in manifest["layers"]]
    blobs = {name: data for name, data in found.items() if name.startswith("blobs/")}
    assert all(name.endswith(sha256(data)) for name, data in blobs.items())
    assert len(blobs) == 3 + 2 + 2  # the common layer once
    assert set(found) - set(blobs) == {"index.json", "manifest.json", "oci-layout", "repositories"}


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_compressed_archives(world: World, compress: Callable[[bytes], bytes]) -> None:
    load(world, compress(docker_archive(ONE)))
    assert content(world, "app:1") == {"one", "two"}


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_compressed_layers_of_a_docker_archive(world: World, compress: Callable[[bytes], bytes]) -> None:
    found = docker_members([ONE])
    found = {name: compress(data) if name.endswith("layer.tar") else data for name, data in found.items()}
    assert load(world, tar(found))[0].image_id == ONE.id
    assert content(world, "app:1") == {"one", "two"}


@pytest.mark.parametrize("compress", [gzip.compress, bytes, lzma.compress], ids=["gzip", "plain", "xz"])
def test_a_compressed_layout_is_kept_as_it_came(world: World, compress: Callable[[bytes], bytes]) -> None:
    """Whatever the layers really are: they are those that the manifest names."""
    found = layout_members([ONE], compress=compress)  # the manifest says gzip
    load(world, tar(found))
    row = world.store.parts.catalog.rows[ONE.id]
    assert f"blobs/sha256/{row.manifest[7:]}" in found
    blobs, _ = world.leftovers()
    assert {f"blobs/sha256/{name}" for name in blobs} == {name for name in found if name.startswith("blobs/")}


def test_a_plain_layout(world: World) -> None:
    assert load(world, tar(layout_members([ONE])))[0].names == ("app:1",)
    assert content(world, "app:1") == {"one", "two"}


def test_a_layout_of_several_platforms(world: World) -> None:
    arm = Made([layer("arm")], ["multi:1"], architecture="arm64")
    amd = Made([layer("amd")], ["multi:1"])
    archive = tar(layout_members([arm, amd], compress=gzip.compress, index=True))
    index = json.loads(members(archive)["index.json"])["manifests"][0]["digest"]
    for platform, made in (("linux/arm64", arm), ("linux/amd64", amd)):
        assert load(world, archive, platform)[0].image_id == made.id
        assert world.store.resolve("multi:1").architecture == made.architecture
        assert index in world.store.parts.catalog.blobs_of(made.id)  # the list is kept with what came from it
    with pytest.raises(NotFound, match="s390x"):
        load(world, archive, "linux/s390x")


def test_a_platform_that_the_archive_has_not(world: World) -> None:
    with pytest.raises(NotFound, match="does not provide the specified platform"):
        load(world, docker_archive(ONE), "linux/arm64")
    assert world.leftovers() == ([], [])


def test_names_move_and_are_told(world: World) -> None:
    load(world, docker_archive(ONE))
    other = Made([layer("four")], ["app:1"])
    assert load(world, docker_archive(other))[0].replaced == {"app:1": ONE.id}
    assert world.store.resolve("app:1").id == other.id
    assert world.store.resolve(ONE.id).tags == ("example.com/other:x",)


def test_links_within_an_archive(world: World) -> None:
    """Docker 20 links a repeated layer; podman links every layer's old place to its file."""
    found = docker_members([ONE])
    path = next(name for name in found if name.endswith("layer.tar"))
    data = found.pop(path)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(path)
        info.type, info.linkname = tarfile.SYMTYPE, "../real.tar"
        archive.addfile(info)
        for name, value in {**found, "real.tar": data}.items():
            info = tarfile.TarInfo(name)
            info.size = len(value)
            archive.addfile(info, io.BytesIO(value))
    assert load(world, out.getvalue())[0].image_id == ONE.id


def test_a_parent_is_kept_when_it_is_one(world: World) -> None:
    base = Made([layer("one")], ["base:1"])
    child = Made([layer("one"), layer("two")], ["child:1"], parent=base)
    stranger = Made([layer("two")], ["stranger:1"], parent=Made([layer("nine")], ["nine:1"]))
    load(world, docker_archive(base, child, stranger))
    assert world.store.resolve("child:1").parent == base.id
    assert world.store.resolve("stranger:1").parent == ""


# ---------------------------------------------------------------- hostile archives


def _link(path: str, target: str, kind: bytes) -> bytes:
    """ONE with the first layer's file replaced by a link."""
    found = docker_members([ONE])
    name = next(name for name in found if name.endswith("layer.tar"))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
        for other, value in found.items():
            if other != name:
                info = tarfile.TarInfo(other)
                info.size = len(value)
                archive.addfile(info, io.BytesIO(value))
    return out.getvalue()


def _manifest(change: Callable[[dict], object]) -> bytes:  # type: ignore[type-arg]
    found = docker_members([ONE])
    items = json.loads(found["manifest.json"])
    change(items[0])
    return tar({**found, "manifest.json": json.dumps(items).encode()})


def _layout(change: Callable[[dict[str, bytes]], object]) -> bytes:
    found = layout_members([ONE], compress=gzip.compress)
    change(found)
    return tar(found)


def _wrong_blob(found: dict[str, bytes]) -> None:
    name = max((name for name in found if name.startswith("blobs/")), key=lambda name: len(found[name]))
    found[name] = found[name][:-1] + bytes([found[name][-1] ^ 1])


def _other_layer() -> bytes:
    found = docker_members([ONE])
    name = next(name for name in found if name.endswith("layer.tar"))
    return tar({**found, name: layer("evil")})


def _second_image_bad() -> bytes:
    found = docker_members([ONE, TWO])
    name = [name for name in found if name.endswith("layer.tar")][-1]
    return tar({**found, name: found[name][:-700]})


def _devices() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("manifest.json")
        info.type = tarfile.CHRTYPE
        archive.addfile(info)
    return out.getvalue()


def _ambiguous(found: dict[str, bytes]) -> None:
    index = json.loads(found["index.json"])
    found["index.json"] = json.dumps({**index, "layers": []}).encode()


def _foreign_digest(found: dict[str, bytes]) -> None:
    text = found["index.json"].decode()
    found["index.json"] = text.replace("sha256:", "sha256:../../").encode()


def _two_members() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, value in [*docker_members([ONE]).items(), ("manifest.json", b"[]")]:
            info = tarfile.TarInfo(name)
            info.size = len(value)
            archive.addfile(info, io.BytesIO(value))
    return out.getvalue()


HOSTILE = {
    "nothing": lambda: b"",
    "no tar": lambda: b"hello" * 1000,
    "no image": lambda: tar({"a": b"b"}),
    "cut off": lambda: docker_archive(ONE)[:4000],
    "a name that leads out": lambda: tar({**docker_members([ONE]), "../evil": b"x"}),
    "a config path that leads out": lambda: _manifest(lambda item: item.update(Config="../../etc/passwd")),
    "an absolute layer path": lambda: _manifest(lambda item: item.update(Layers=["/etc/passwd", "/etc/passwd"])),
    "a layer that is not there": lambda: _manifest(lambda item: item.update(Layers=["a", "b"])),
    "too few layers": lambda: _manifest(lambda item: item.update(Layers=item["Layers"][:1])),
    "a tag that is none": lambda: _manifest(lambda item: item.update(RepoTags=["../evil:1"])),
    "a digest as a tag": lambda: _manifest(lambda item: item.update(RepoTags=["a@sha256:" + "0" * 64])),
    "a symbolic link out": lambda: _link("x", "/etc/passwd", tarfile.SYMTYPE),
    "a symbolic link up": lambda: _link("x", "../../../../etc/passwd", tarfile.SYMTYPE),
    "a hard link out": lambda: _link("x", "/etc/passwd", tarfile.LNKTYPE),
    "a link to itself": lambda: _link("x", "layer.tar", tarfile.SYMTYPE),
    "devices": _devices,
    "two members of one name": _two_members,
    "another layer": _other_layer,
    "a bad second image": _second_image_bad,
    "keys twice": lambda: tar({**docker_members([ONE]), "manifest.json": b'[{"Config":"a","Config":"b"}]'}),
    "a manifest of five megabytes": lambda: tar({"manifest.json": b"[" + b" " * (5 << 20) + b"]"}),
    "an index of five megabytes": lambda: tar({"index.json": b"{" + b" " * (5 << 20) + b"}"}),
    "a wrong blob": lambda: _layout(_wrong_blob),
    "an ambiguous index": lambda: _layout(_ambiguous),
    "a digest with a path": lambda: _layout(_foreign_digest),
    "an index of nothing": lambda: _layout(lambda found: found.update({"index.json": b'{"manifests":[{}]}'})),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_of_a_hostile_archive_nothing_stays(world: World, case: str) -> None:
    """CVE-2014-6407, CVE-2014-9356 (links and paths out of the archive), CVE-2014-9358, CVE-2014-5282 (ids and paths
    that the archive chooses), CVE-2021-41190 (one document, two readings), CVE-2024-3727 (digests as paths),
    CVE-2023-25153 (documents without a bound).
    """
    with pytest.raises(ScowError) as caught:
        load(world, HOSTILE[case]())
    assert not isinstance(caught.value, NotFound)
    assert world.leftovers() == ([], [])
    assert not world.store.images() and not os.listdir(world.root / "tmp")
    load(world, docker_archive(ONE))  # and the next load works
    assert content(world, "app:1") == {"one", "two"}


def test_an_id_is_computed_and_not_believed(world: World) -> None:
    """CVE-2014-9358: the config's file name says another image's id."""
    load(world, docker_archive(TWO))
    found = docker_members([ONE])
    data = found.pop(ONE.id[7:] + ".json")
    items = json.loads(found["manifest.json"])
    items[0]["Config"] = TWO.id[7:] + ".json"
    archive = tar({**found, TWO.id[7:] + ".json": data, "manifest.json": json.dumps(items).encode()})
    assert load(world, archive)[0].image_id == ONE.id
    assert world.store.resolve(TWO.id).config.cmd == ("two",)


def test_a_bomb_is_stopped(world: World) -> None:
    """CVE-2017-14992: what comes out of a compressed archive is bounded."""
    from dataclasses import replace

    parts = world.store.parts
    parts.limits = replace(parts.limits, ratio_floor=1 << 20)
    bomb = gzip.compress(tar({"a": bytes(30 << 20)}))
    with pytest.raises(ResourceExhausted, match="fold"):
        load(world, bomb)
    assert world.leftovers() == ([], []) and not os.listdir(world.root / "tmp")


def test_an_image_that_is_removed_meanwhile_is_told(world: World) -> None:
    load(world, docker_archive(ONE))
    image = world.store.resolve("app:1")
    world.run(world.store.delete(image.id))

    async def saved() -> list[bytes]:
        return [piece async for piece in world.store.save([(image, ())])]

    with pytest.raises(NotFound, match=f"^No such image: {image.id}$"):
        world.run(saved())
    new = NewImage(ContainerConfig(), 0, base=image)
    with pytest.raises(NotFound, match=f"^No such image: {image.id}$"):
        world.run(world.store.make(new, lambda emit: emit(layer("more"))))
    assert world.leftovers() == ([], [])


def test_damage_of_one_image_is_not_anothers(world: World) -> None:
    """A layer is here already, but the manifest is damaged that says as which blob."""
    load(world, docker_archive(ONE))
    row = world.store.parts.catalog.rows[ONE.id]
    Path(world.store.parts.blobs.path(Digest(row.listed))).write_bytes(b"{}")
    load(world, docker_archive(TWO))
    assert content(world, "second") == {"one", "three"}


def test_a_damaged_blob_is_not_saved(world: World) -> None:
    load(world, docker_archive(ONE))
    blobs, _ = world.leftovers()
    largest = max((world.root / "images/blobs/sha256" / name for name in blobs), key=lambda path: path.stat().st_size)
    with open(largest, "r+b") as stream:
        stream.seek(30)
        stream.write(b"\xff\xff")
    with pytest.raises(DataLoss, match="damaged"):
        save(world, "app:1")

"""Manifest lists into a registry: blobs come over by mounts, or through here where a registry mounts none."""

import json
from typing import Any

import pytest

from scow.errors import DataLoss, InvalidArgument, ScowError
from scow.model.transfer import ListPart
from scow.oci.reference import Reference
from tests.harness import faults
from tests.harness.faultreg import INDEX, FaultRegistry, Handler
from tests.harness.registry import SCHEMA2, Image, digest
from tests.integration.images.world import World
from tests.unit.images.craft import archive, file

LAYER = archive(file(b"data", bytes(range(256)) * 6000))


def made(registry: FaultRegistry) -> tuple[bytes, list[ListPart]]:
    """A list of two images that are in repositories of their own."""
    entries, parts = [], []
    for number, name in enumerate(("one", "two")):
        registry.add(name, Image([LAYER, archive(file(name.encode(), b"x"))]))
        _, data = registry.manifests[name, "latest"]
        platform = {"os": "linux", "architecture": ("amd64", "arm64")[number]}
        entries.append({"mediaType": SCHEMA2, "digest": digest(data), "size": len(data), "platform": platform})
        parts.append(ListPart(Reference.parse(f"{registry.address}/{name}"), data, SCHEMA2))
    return index(entries), parts


def index(entries: list[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def push(world: World, registry: FaultRegistry, data: bytes, parts: list[ListPart], name: str = "all:1") -> list[str]:
    target = Reference.parse(f"{registry.address}/{name}")
    pushed, brought = world.run(world.store.push_list(target, data, INDEX, parts, None))
    assert pushed == digest(data)
    return brought


def refuses_mounts(handler: Handler) -> None:
    """An upload is opened instead, as the protocol has it for registries that mount nothing."""
    handler.path = handler.path.partition("?")[0]
    handler.do_POST()


@pytest.mark.parametrize("mounting", [True, False])
def test_everything_is_there_before_the_list(world: World, faulty: FaultRegistry, mounting: bool) -> None:
    data, parts = made(faulty)
    if not mounting:
        faulty.ever("mount", refuses_mounts)
    assert push(world, faulty, data, parts) == [digest(part.data) for part in parts]
    assert faulty.manifests["all", "1"] == (INDEX, data)
    assert all(("all", digest(part.data)) in faulty.manifests for part in parts)
    assert faulty.corrupt() == []
    puts = [path for method, path, _ in faulty.requests if faulty.kind_of(path, method) == "manifest-put"]
    assert puts[-1].endswith("/manifests/1")
    assert world.pull(f"{faulty.address}/all:1", "linux/amd64").digests == (f"{faulty.address}/all@{digest(data)}",)


def test_it_goes_on_after_a_break(world: World, faulty: FaultRegistry) -> None:
    data, parts = made(faulty)
    faulty.ever("mount", refuses_mounts)
    faulty.once("manifest-put", faults.status(503), faults.status(503))
    faulty.once("patch", faults.status(500))
    push(world, faulty, data, parts)
    assert faulty.manifests["all", "1"] == (INDEX, data) and faulty.corrupt() == []


def test_what_does_not_belong_together_is_refused(world: World, faulty: FaultRegistry) -> None:
    data, parts = made(faulty)
    elsewhere = ListPart(Reference.parse("example.com/one"), parts[0].data, SCHEMA2)
    for document, sources, name in (
        (data, [elsewhere], "all:1"),
        (index([]), parts, "all:1"),
        (parts[0].data, [], "all:1"),
        (data.replace(b"layers", b"l"), [ListPart(parts[0].repository, data, INDEX)], "all:1"),
        (b"{", [], "all:1"),
        (data, parts, f"all@{digest(b'x')}"),
    ):
        with pytest.raises((InvalidArgument, DataLoss)):
            push(world, faulty, document, list(sources), name)
    assert not [path for method, path, _ in faulty.requests if method == "PUT"]


def test_a_blob_that_is_nowhere(world: World, faulty: FaultRegistry) -> None:
    data, parts = made(faulty)
    faulty.ever("mount", refuses_mounts)
    faulty.blobs.pop(json.loads(parts[0].data)["layers"][0]["digest"])
    with pytest.raises(ScowError):
        push(world, faulty, data, parts)
    assert ("all", "1") not in faulty.manifests

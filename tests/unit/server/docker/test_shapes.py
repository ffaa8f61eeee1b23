"""Answers have the keys and types that dockerd 26.1 gives for the same calls (recorded in tests/golden/api)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.golden.api import shapes
from tests.unit.engine import doubles
from tests.unit.engine.doubles import World
from tests.unit.server.docker.world import blocking_api, in_thread, over
from tests.unit.server.front import Front

# What differs on purpose, and what the doubles cannot show.
IGNORED = frozenset(
    {
        ".HostConfig.CgroupnsMode",
        ".Config.ExposedPorts.*",
        # the fields of the reference that its own build or machine puts in
        ".KernelMemoryTCP", ".Runtimes.*.status", ".CDISpecDirs", ".ProductLicense", ".RegistryConfig.Mirrors",
        ".Processes", ".GraphDriver.Data", ".DriverStatus",
        # df of the reference knows other objects
        ".Images", ".Containers", ".Volumes", "[].SizeRw",
    }
)  # fmt: skip


def test_shapes_are_dockers(tmp_path: Path) -> None:
    async def scenario(front: Front, world: World) -> None:
        image = replace(doubles.IMAGE, config=replace(doubles.IMAGE.config, labels={}), digests=())
        world.images.all[image.id] = image
        given: dict[str, Any] = await in_thread(shapes.record, blocking_api(front.path))
        wanted = shapes.load()
        assert given.keys() == wanted.keys()
        lines = [
            f"{name}{line}" for name in wanted for line in shapes.differences(wanted[name], given[name], "", IGNORED)
        ]
        assert not lines, "\n".join(lines)
        order = [f"{name}{line}" for name in wanted for line in shapes.misordered(wanted[name], given[name])]
        assert not order, "\n".join(order)

    over(tmp_path, scenario)


def test_the_comparison_sees_differences() -> None:
    wanted = {"a": "str", "b": ["int"], "c": "null", "d": {"e": "bool"}}
    assert shapes.differences(wanted, wanted) == []
    given = {"a": "int", "b": [], "d": {"e": "bool", "f": "str"}}
    assert sorted(shapes.differences(wanted, given)) == [
        ".a: str wanted, int given",
        ".b: ['int'] wanted, [] given",
        ".c: missing",
        ".d.f: unknown",
    ]

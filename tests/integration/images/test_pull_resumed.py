"""Pulls that were cut off, cancelled or killed go on where they were; full disks leave the store as it was."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from scow.errors import ResourceExhausted, ScowError
from scow.images import blobs
from scow.images.blobs import PARTIAL_AGE, NoSpace
from scow.oci.reference import Reference
from tests.harness import faults
from tests.harness.faultreg import FaultRegistry, Handler
from tests.harness.registry import Image, digest
from tests.integration.images.test_killed import PULL, ROOT
from tests.integration.images.world import QUICK, World
from tests.unit.images.craft import archive, file

FIRST, SECOND = (archive(file(f"f{seed}".encode(), random.Random(seed).randbytes(400_000))) for seed in (1, 2))


def half_then_wait(handler: Handler) -> None:
    """Half of a blob, and then nothing until the test ends."""
    data = handler.blob()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.wfile.flush()
    handler.owner.stopping.wait(20)
    handler.close_connection = True


def kept(world: World, name: str) -> int:
    return world.partials().get(name, 0)


@pytest.fixture
def app(faulty: FaultRegistry) -> str:
    faulty.add("app", Image([FIRST, SECOND], compress="none"))
    return f"{faulty.address}/app"


def test_a_cancelled_pull_goes_on_where_it_was(world: World, faulty: FaultRegistry, app: str) -> None:
    """The layer that was complete is not fetched again either."""
    waits = digest(SECOND)
    faulty.kinds[waits] = "second"
    faulty.once("second", half_then_wait)

    async def cancelled() -> None:
        pull = asyncio.ensure_future(world.store.pull(Reference.parse(app), "", None, world.progress.append))
        while kept(world, digest(FIRST)) < len(FIRST) or kept(world, waits) < len(SECOND) // 2:
            await asyncio.sleep(0.01)
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pull

    world.run(cancelled())
    assert world.store.images() == () and world.leftovers() == ([], [])
    world.reopen()
    faulty.heal()
    assert world.pull(app).size == 800_000
    assert faulty.count("layer") == 0 and faulty.count("second") == 1
    assert faulty.sent < len(SECOND) - len(SECOND) // 2 + 4000
    assert not world.partials()


def test_a_killed_pull_goes_on_where_it_was(tmp_path: Path, faulty: FaultRegistry, app: str) -> None:
    waits = digest(SECOND)
    faulty.kinds[waits] = "second"
    faulty.once("second", half_then_wait)
    root = tmp_path / "data"
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([sys.executable, "-c", PULL, str(root), app], cwd=ROOT, env=environment) as child:
        partial = root / f"images/ingest/{waits.replace(':', '-')}.partial"
        first = root / f"images/blobs/sha256/{digest(FIRST)[7:]}"
        assert faults.waited(lambda: partial.exists() and partial.stat().st_size == len(SECOND) // 2, 20)
        assert faults.waited(first.exists, 20)
        child.kill()
    world = World(root)
    try:
        assert world.leftovers() == ([], [])
        faulty.heal()
        assert world.pull(app).size == 800_000
        assert faulty.count("layer") == 0 and faulty.sent < len(SECOND) - len(SECOND) // 2 + 4000
    finally:
        world.close()


def test_what_is_damaged_on_disk_is_fetched_again(world: World, faulty: FaultRegistry, app: str) -> None:
    for layer in (FIRST, SECOND):
        path = world.root / f"images/ingest/{digest(layer).replace(':', '-')}.partial"
        path.write_bytes(b"x" * 1000 if layer is FIRST else layer + b"too long")
    assert world.pull(app).size == 800_000
    assert not world.partials()


def test_what_nobody_asks_for_again_is_removed(world: World) -> None:
    old, new = (world.root / f"images/ingest/sha256-{letter * 64}.partial" for letter in "ab")
    for path in (old, new):
        path.write_bytes(b"x" * 10)
    then = time.time() - PARTIAL_AGE - 10
    os.utime(old, (then, then))
    world.reopen()
    assert list(world.partials()) == ["sha256:" + "b" * 64]
    assert world.store.parts.blobs.forget_older(0) == 10 and not world.partials()


def test_two_places_of_one_layer_at_once(world: World, faulty: FaultRegistry) -> None:
    faulty.add("app", Image([FIRST, SECOND, FIRST], compress="none"))
    assert world.pull(f"{faulty.address}/app").size == 1_200_000
    assert not world.partials()


def test_a_slow_peer_is_asked_for_parts(world: World, faulty: FaultRegistry) -> None:
    """With a clock that runs ahead every peer is slow."""
    data = archive(file(b"big", random.Random(3).randbytes(16 << 20)))
    faulty.add("app", Image([data], compress="none"))
    ticks = count()
    world.be(replace(QUICK, clock=lambda: float(next(ticks)), patience=1e9))
    assert world.pull(f"{faulty.address}/app").size == 16 << 20
    ranges = [headers.get("range") for _, path, headers in faulty.requests if faulty.kind_of(path) == "layer"]
    assert len(ranges) > 6 and ranges[0] is None
    assert all(text and text.startswith("bytes=") for text in ranges[1:])


def test_a_slow_peer_that_gives_no_parts(world: World, faulty: FaultRegistry) -> None:
    data = archive(file(b"big", random.Random(3).randbytes(16 << 20)))
    faulty.add("app", Image([data], compress="none"))
    faulty.ever("layer", faults.no_ranges)
    ticks = count()
    world.be(replace(QUICK, clock=lambda: float(next(ticks)), patience=1e9))
    assert world.pull(f"{faulty.address}/app").size == 16 << 20


# ---------------------------------------------------------------- full disks


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    """A store on a file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True)
    world = World(folder)
    try:
        yield world
    finally:
        world.close()
        subprocess.run(["umount", "-l", str(folder)], check=True)


def state(world: World) -> object:
    return world.leftovers(), [image.id for image in world.store.images()], world.partials()


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_what_cannot_fit_is_not_begun(small: World, faulty: FaultRegistry, compress: str) -> None:
    faulty.add("small", Image([FIRST]))
    small.pull(f"{faulty.address}/small")
    before = state(small)
    faulty.add("large", Image([archive(file(b"x", random.Random(4).randbytes(9 << 20)))], compress=compress))
    with pytest.raises(NoSpace, match=r"no space left on device: 94\d{5} bytes are needed and \d+ kept in reserve"):
        small.pull(f"{faulty.address}/large")
    assert state(small) == before and faulty.count("layer") == 1


@pytest.mark.parametrize("megabytes", [4, 5])
def test_enospc_while_unpacking(small: World, faulty: FaultRegistry, megabytes: int) -> None:
    """The blob fits, its content beside it does not: the store is as it was, and works."""
    faulty.add("small", Image([FIRST]))
    small.pull(f"{faulty.address}/small")
    before = state(small)
    files = [file(f"f{number}".encode(), random.Random(number).randbytes(1 << 20)) for number in range(megabytes)]
    faulty.add("large", Image([SECOND, archive(*files)], compress="none"))
    with pytest.raises(ResourceExhausted, match="no space left on device|No space left on device"):
        small.pull(f"{faulty.address}/large")
    deadline = time.monotonic() + 5
    while os.listdir(small.root / "trash") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state(small) == before
    faulty.add("small2", Image([SECOND]))
    assert small.pull(f"{faulty.address}/small2").size == 400_000


def test_every_write_may_find_the_disk_full(
    world: World, faulty: FaultRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC from each call of the blob store in turn is an error of ours."""
    faulty.add("app", Image([FIRST]))
    for name in ("write", "link", "rename", "fsync"):
        real, calls = getattr(os, name), count()

        def full(*args: object, real: object = real, calls: Iterator[int] = calls, **kwargs: object) -> object:
            if next(calls) == 0:
                raise OSError(28, "No space left on device")
            return real(*args, **kwargs)  # type: ignore[operator]

        with monkeypatch.context() as patch:
            patch.setattr(blobs.os, name, full)
            try:
                world.pull(f"{faulty.address}/app")
            except ScowError as error:
                assert isinstance(error, ResourceExhausted), name
        for image in world.store.images():
            world.run(world.store.delete(image.id))
        assert world.leftovers()[0] == []
    assert world.pull(f"{faulty.address}/app").size == 400_000

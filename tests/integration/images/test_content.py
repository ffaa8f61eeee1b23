"""What a push or a save reads: verified, also after requests that broke off, and nothing stays open."""

import asyncio
import os
import random
import threading
from pathlib import Path

import pytest

from scow.errors import DataLoss
from scow.images.content import Content
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from tests.integration.images.world import World

DATA = random.Random(5).randbytes(50_000)
BLOB = Descriptor("", Digest.of(DATA), len(DATA))


@pytest.fixture(autouse=True)
def stored(world: World) -> Path:
    world.store.parts.blobs.put(DATA, BLOB.digest)
    return Path(world.store.parts.blobs.path(BLOB.digest))


def opened(path: Path) -> int:
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(1 for link in links if os.path.exists(link) and os.path.realpath(link) == str(path))


async def whole(content: Content, start: int = 0) -> bytes:
    return b"".join([data async for data in content.read(start, len(DATA))])


def test_a_read_that_still_waits_for_its_thread_opens_nothing_after_the_end(world: World, stored: Path) -> None:
    async def scenario() -> None:
        parts, gate = world.store.parts, threading.Event()
        busy = [parts.submit(gate.wait) for _ in range(6)]  # every thread there is
        content = Content(parts, BLOB, 1000)
        request = asyncio.ensure_future(whole(content))
        await asyncio.sleep(0)
        for _ in range(2):  # once more while it tidies up
            request.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(request, return_exceptions=True)
        content.close()
        gate.set()
        await asyncio.gather(*busy)
        await asyncio.gather(*(parts.submit(lambda: None) for _ in range(6)))
        assert opened(stored) == 0

    world.run(scenario())


def test_a_read_that_was_left_behind_does_not_spoil_the_next(
    world: World, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that a broken request drops is closed late: its last read and the first of the next go on together."""
    real, gate, first = os.pread, threading.Event(), []

    def slow(fd: int, size: int, at: int) -> bytes:
        if not first:
            first.append(at)
            gate.wait(5)
        return real(fd, size, at)

    async def scenario() -> None:
        content = Content(world.store.parts, BLOB, 1000)
        monkeypatch.setattr(os, "pread", slow)
        left = asyncio.ensure_future(anext(content.read(0, len(DATA))))
        while not first:
            await asyncio.sleep(0.001)
        again = asyncio.ensure_future(whole(content))
        await asyncio.sleep(0.05)
        gate.set()
        assert await again == DATA
        await left
        content.close()
        assert opened(stored) == 0

    world.run(scenario())


def test_damage_is_told_before_the_last_byte(world: World, stored: Path) -> None:
    stored.write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))

    async def scenario() -> None:
        content, came = Content(world.store.parts, BLOB, 1000), 0
        with pytest.raises(DataLoss):
            async for data in content.read(0, len(DATA)):
                came += len(data)
        assert came < len(DATA)
        content.close()

    world.run(scenario())


def test_an_empty_blob_is_verified_too(world: World) -> None:
    parts = world.store.parts
    empty, other = Descriptor("", Digest.of(b""), 0), Descriptor("", Digest.of(b"x"), 0)

    async def scenario(blob: Descriptor) -> bytes:
        Path(parts.blobs.path(blob.digest)).write_bytes(b"")
        content = Content(parts, blob)
        try:
            return b"".join([data async for data in content.read(0, 0)])
        finally:
            content.close()

    assert world.run(scenario(empty)) == b""
    with pytest.raises(DataLoss, match="is damaged: run `scow system check --repair`$"):
        world.run(scenario(other))

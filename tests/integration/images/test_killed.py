"""A pull that is killed at any instant: the next start finds a whole store and pulls the image again."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness.faultreg import FaultRegistry
from tests.harness.registry import Image
from tests.integration.images.world import World
from tests.unit.images.craft import archive, directory, file

PULL = """
import sys
from pathlib import Path
from tests.integration.images.world import World
world = World(Path(sys.argv[1]))
print("ready", flush=True)
world.pull(sys.argv[2])
print("done", flush=True)
"""
ROOT = Path(__file__).parents[3]


def layer(seed: int) -> bytes:
    files = [file(f"d{seed}/f{number}".encode(), bytes([number % 251]) * 4000) for number in range(400)]
    return archive(directory(f"d{seed}".encode()), *files)


def check(world: World) -> None:
    """What the records name is there, and nothing else."""
    catalog = world.store.parts.catalog
    blobs, directories = world.leftovers()
    assert {f"sha256:{name}" for name in blobs} == catalog.blobs_in_use()
    assert set(directories) == catalog.directories_in_use()
    for image in world.store.images():
        assert all(chain_id in catalog.layers for chain_id in image.chain_ids)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3])
def test_kill(tmp_path: Path, faulty: FaultRegistry, delay: float) -> None:
    faulty.add("app", Image([layer(1), layer(2), layer(3)]))
    root, name = tmp_path / "data", f"{faulty.address}/app"
    command = [sys.executable, "-c", PULL, str(root), name]
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        time.sleep(delay)
        child.kill()
        acknowledged = b"done" in child.stdout.read()
    world = World(root)
    try:
        check(world)
        assert len(world.store.images()) == 1 or not acknowledged
        assert world.pull(name).size == 3 * 400 * 4000
        check(world)
    finally:
        world.close()

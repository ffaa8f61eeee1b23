"""A store and a misbehaving registry for each test; retries without waiting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.faultreg import FaultRegistry
from tests.integration.images.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "data")
    yield world
    world.close()


@pytest.fixture
def faulty() -> Iterator[FaultRegistry]:
    registry = FaultRegistry()
    yield registry
    registry.close()

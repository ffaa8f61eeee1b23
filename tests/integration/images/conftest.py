"""A store and a misbehaving registry for each test; retries without waiting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scow.images.registry import transport
from tests.integration.images.faultreg import FaultRegistry
from tests.integration.images.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "data")
    yield world
    world.close()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultRegistry]:
    monkeypatch.setattr(transport, "_FIRST_DELAY", 0.001)
    monkeypatch.setattr(transport, "_LONGEST_DELAY", 0.01)
    monkeypatch.setattr(transport, "_READ_TIMEOUT", 0.5)
    registry = FaultRegistry()
    yield registry
    registry.close()

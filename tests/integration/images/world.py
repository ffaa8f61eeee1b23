"""An image store on a directory of its own, driven from synchronous tests."""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from scow.images.registry.policy import Policy
from scow.images.snapshots import OverlaySnapshots
from scow.images.store import LocalImageStore, open_store
from scow.metadata.database import Database
from scow.metadata.migrations import MIGRATIONS
from scow.model.image import Image
from scow.model.transfer import Credentials, PullProgress
from scow.oci.reference import Reference

T = TypeVar("T")


async def _at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


QUICK = Policy(read_timeout=0.5, connect_timeout=2.0, sleep=_at_once)
"""Retries as in a daemon, but without waiting."""


class World:
    """A store. `reopen` is what a new daemon would do; `leftovers` is what lies on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        self.progress: list[PullProgress] = []
        self.policy = QUICK
        self._open()

    def _open(self) -> None:
        self.database = Database(f"{self.root}/scow.db", MIGRATIONS)
        self.store: LocalImageStore
        self.snapshots: OverlaySnapshots
        self.store, self.snapshots = open_store(str(self.root), self.database)
        self.be(self.policy)

    def be(self, policy: Policy) -> None:
        """Talk to registries by another policy."""
        self.policy = policy
        self.store.parts.settings = replace(self.store.parts.settings, policy=policy)

    def reopen(self) -> None:
        self.database.close()
        self._open()

    def close(self) -> None:
        self.database.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def pull(self, name: str, platform: str = "", credentials: Credentials | None = None) -> Image:
        return self.run(self.store.pull(Reference.parse(name), platform, credentials, self.progress.append))

    @property
    def statuses(self) -> list[str]:
        return [f"{step.id}: {step.status}" if step.id else step.status for step in self.progress]

    def leftovers(self) -> tuple[list[str], list[str]]:
        """(blobs and ingests, layer directories); what is kept of broken downloads is `partials`."""
        ingest = [name for name in os.listdir(self.root / "images/ingest") if not name.endswith(".partial")]
        return sorted(os.listdir(self.root / "images/blobs/sha256")) + ingest, sorted(os.listdir(self.root / "layers"))

    def partials(self) -> dict[str, int]:
        """Bytes of broken downloads by digest."""
        return {
            path.name.removesuffix(".partial").replace("-", ":"): path.stat().st_size
            for path in (self.root / "images/ingest").iterdir()
            if path.name.endswith(".partial")
        }

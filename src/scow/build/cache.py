"""The build cache: which step has made what. The rows are in the metadata database; what they name is held in the catalog.

    key ── sha256 of what a step depends on: the layers below it, the instruction, the content of what it copies
     └─ row: the layer that came of it (or none), and the time that is in its history

A row is written after its layer is on disk, behind the back of the build: what a crash loses is one step's memory, never
its truth.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from scow.background import spawn
from scow.build.layers import Layer
from scow.errors import ScowError
from scow.images.blobs import sync
from scow.images.inflight import InFlight
from scow.images.parts import Parts
from scow.metadata import builds
from scow.metadata.builds import StepRow
from scow.metadata.database import Database
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest

_log = logging.getLogger("scow.build")


@dataclass(frozen=True, slots=True)
class Step:
    """What a step has made: a layer or none, and the time in its history (Unix seconds)."""

    key: str
    stamp: int
    layer: Layer | None = None


class StepCache:
    """Lookups are from memory. The catalog must hold what `rows` names (builds.ids_of) until this is there."""

    def __init__(
        self, database: Database, parts: Parts, rows: Sequence[StepRow], clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._database = database
        self._parts = parts
        self._clock = clock
        self._rows: dict[str, StepRow] = {}
        self._holds: dict[str, ExitStack] = {}
        self._changed: dict[str, StepRow] = {}
        self._flushing = False
        self._unsynced = False
        self.running: InFlight[Step] = InFlight()
        for row in rows:
            if not row.diff_id or row.chain_id in parts.catalog.layers:
                self._take(row)

    def rows(self) -> Sequence[StepRow]:
        return tuple(self._rows.values())

    def find(self, key: str) -> Step | None:
        """What the step has made before, if it is still there."""
        row = self._rows.get(key)
        if row is None:
            return None
        layer = None
        if row.diff_id:
            if row.chain_id not in self._parts.catalog.layers:
                return None
            descriptor = Descriptor(row.media_type, Digest(row.digest), row.blob_size)
            layer = Layer(row.chain_id, row.diff_id, descriptor, row.size)
        used = replace(row, used_at=self._clock(), uses=row.uses + 1)
        self._rows[key] = used
        self._changed[key] = used
        return Step(key, row.stamp, layer)

    def add(self, step: Step, parent: str, description: str) -> None:
        """Remember a step that was just made; its layer, if any, is held from now on."""
        now, layer = self._clock(), step.layer
        row = StepRow(
            key=step.key,
            parent=parent,
            chain_id=layer.chain_id if layer else parent,
            diff_id=layer.diff_id if layer else "",
            digest=str(layer.descriptor.digest) if layer else "",
            media_type=layer.descriptor.media_type if layer else "",
            blob_size=layer.descriptor.size if layer else 0,
            size=layer.size if layer else 0,
            stamp=step.stamp,
            description=description,
            made_at=now,
            used_at=now,
        )
        before = self._rows.get(row.key)
        self._take(row)
        self._changed[row.key] = row
        self._unsynced = self._unsynced or bool(row.diff_id)
        if before is not None and before.diff_id:
            spawn(self._parts.give_up([before.chain_id], [before.digest]), "build-cache-replaced")
        self.flush_soon()

    def flush_soon(self) -> None:
        """Bring to disk what has changed, behind the scenes."""
        if not self._flushing and self._changed:
            self._flushing = True
            spawn(self._flush(), "build-cache")

    async def _flush(self) -> None:
        try:
            while self._changed:
                changed, self._changed = self._changed, {}
                unsynced, self._unsynced = self._unsynced, False
                layers = self._parts.catalog.layers
                rows = [row for row in changed.values() if not row.diff_id or row.chain_id in layers]
                if unsynced:
                    await self._parts.run(sync, self._parts.blobs.root)
                rows = [row for row in rows if row.key in self._rows]  # not removed meanwhile
                await builds.put(
                    self._database,
                    rows,
                    [layers[row.chain_id] for row in rows if row.diff_id and row.chain_id in layers],
                )
        except ScowError as error:
            _log.warning("the build cache cannot be kept: %s", error.message)
        finally:
            self._flushing = False

    async def remove(self, keys: Sequence[str]) -> None:
        """Forget steps; their layers go unless somebody else counts on them."""
        rows = [row for row in (self._rows.pop(key, None) for key in keys) if row is not None]
        for row in rows:
            self._changed.pop(row.key, None)
        await builds.delete(self._database, keys)
        for row in rows:
            self._holds.pop(row.key).close()
        for row in rows:
            if row.diff_id:
                await self._parts.give_up([row.chain_id], [row.digest])

    def _take(self, row: StepRow) -> None:
        before = self._holds.pop(row.key, None)
        hold = ExitStack()
        hold.enter_context(self._parts.catalog.hold(builds.ids_of([row])))
        self._rows[row.key] = row
        self._holds[row.key] = hold
        if before is not None:
            before.close()

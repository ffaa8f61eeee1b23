"""What the operations of the image store share."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import ParamSpec, TypeVar

from scow.errors import DataLoss
from scow.images import index
from scow.images.archive.limits import DEFAULT, Limits
from scow.images.blobs import BlobStore, write_file
from scow.images.catalog import Catalog
from scow.images.inflight import InFlight
from scow.images.progress import LayerProgress
from scow.images.registry.endpoint import RegistrySettings
from scow.images.trees import Trees
from scow.metadata.images import ImageRow, LayerRow
from scow.oci import manifest as manifests
from scow.oci import media
from scow.oci.digest import Digest
from scow.oci.documents import MANIFEST_LIMIT
from scow.oci.manifest import Manifest

P = ParamSpec("P")
T = TypeVar("T")
_DOWNLOADS = 3
_UPLOADS = 5
_WORKERS = 6


class Parts:
    """The pieces of one store. Threads are started when the first work comes."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: BlobStore,
        trees: Trees,
        settings: RegistrySettings,
        scratch: str,
        limits: Limits = DEFAULT,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.catalog = catalog
        self.blobs = blobs
        self.trees = trees
        self.settings = settings
        self.scratch = scratch
        self.limits = limits
        self.clock = clock
        self.downloads = asyncio.Semaphore(_DOWNLOADS)
        self.uploads = asyncio.Semaphore(_UPLOADS)
        self.kept = ExitStack()  # what somebody else's rows count on, until he holds it himself: see open_store
        self.sessions: dict[str, str] = {}  # locations of broken uploads, see Uploader
        self.inflight: InFlight[None] = InFlight()
        self.progress: dict[Hashable, LayerProgress] = {}
        self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="images")
        self._exporting = asyncio.Lock()
        self._arrival = asyncio.Condition()

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Start work in a thread; the future cannot stop it."""
        return asyncio.wrap_future(self._executor.submit(work, *args, **kwargs))

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work in a thread."""
        return await asyncio.shield(self.submit(work, *args, **kwargs))

    def manifest(self, row: ImageRow, *, listed: bool = True) -> tuple[Manifest, bytes]:
        """An image's manifest and its bytes: the OCI one, or without `listed` the one that the image came with.

        Reads a file. NotFound without it, DataLoss when it is damaged or no manifest.
        """
        digest, media_type = (row.listed, media.OCI_MANIFEST) if listed else (row.manifest, row.media_type)
        data = self.blobs.read(Digest(digest), MANIFEST_LIMIT)
        manifest = manifests.parse(data, media_type)
        if not isinstance(manifest, Manifest):
            raise DataLoss(f"manifest {digest} of image {row.id} is an index")
        return manifest, data

    async def export(self) -> None:
        """Bring index.json up to date."""
        async with self._exporting:
            data = index.render(self.catalog.rows, self.catalog.name_rows())
            await self.run(write_file, f"{self.blobs.root}/index.json", data)

    async def arrive(self, row: LayerRow) -> None:
        """An unpacked layer can be used. The database learns of it with the first image that is complete."""
        known = self.catalog.layers.setdefault(row.chain_id, row)
        if known is not row:
            self.trees.remove(row.directory)
        async with self._arrival:
            self._arrival.notify_all()

    async def arrived(self, chain: Sequence[str]) -> list[LayerRow]:
        """The layers of a chain, once all are there."""
        layers = self.catalog.layers
        async with self._arrival:
            await self._arrival.wait_for(lambda: all(chain_id in layers for chain_id in chain))
        return [layers[chain_id] for chain_id in chain]

    def discard(self, layers: Sequence[LayerRow]) -> None:
        """Remove the directories of forgotten layers that no other layer shares."""
        used = self.catalog.directories_in_use()
        for directory in {layer.directory for layer in layers} - used:
            self.trees.remove(directory)

    async def give_up(self, chain: Sequence[str], digests: Sequence[str]) -> None:
        """After a failed operation: remove those of its layers and blobs that nobody uses."""
        self.discard(await self.catalog.drop_unused(chain))
        in_use = self.catalog.blobs_in_use()
        for digest in digests:
            if digest not in in_use:
                self.blobs.remove(Digest(digest))

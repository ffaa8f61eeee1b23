"""The image store: engine.ports.ImageStore over blobs, layer directories and tables."""

import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from scow.background import complete
from scow.errors import InvalidArgument
from scow.images import index
from scow.images.blobs import BlobStore, write_file
from scow.images.catalog import Catalog
from scow.images.native import NativeSnapshots
from scow.images.parts import Parts
from scow.images.probe import overlay_works
from scow.images.registry.endpoint import RegistrySettings
from scow.images.snapshots import OverlaySnapshots
from scow.images.trees import Trash, Trees
from scow.metadata.database import Database
from scow.model.image import Image
from scow.model.making import NewImage
from scow.model.transfer import Checked, Credentials, Found, ListPart, Loaded, PullProgress, PushReport, RemoteManifest
from scow.oci.digest import Digest
from scow.oci.platform import Platform
from scow.oci.reference import Reference

_log = logging.getLogger("scow.images")


class LocalImageStore:
    """Images below one data root."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def resolve(self, name: str) -> Image:
        return self.parts.catalog.resolve(name)

    def variants(self, name: str) -> Sequence[Image]:
        return self.parts.catalog.variants(name)

    def unreadable(self, name: str) -> str:
        return self.parts.catalog.unreadable(name)

    def images(self) -> Sequence[Image]:
        return self.parts.catalog.images()

    async def pull(
        self,
        reference: Reference,
        platform: str,
        credentials: Credentials | None,
        progress: Callable[[PullProgress], None],
    ) -> Image:
        from scow.images.pull import pull  # with the HTTP client, decompressors and TLS: an idle daemon has none of it

        return await pull(self.parts, reference, platform, credentials, progress)

    async def pull_all(
        self,
        repository: Reference,
        platform: str,
        credentials: Credentials | None,
        progress: Callable[[PullProgress], None],
    ) -> Sequence[Image]:
        from scow.images.pull import pull_all

        return await pull_all(self.parts, repository, platform, credentials, progress)

    async def forget_downloads(self) -> int:
        return await self.parts.run(self.parts.blobs.forget_older, 0.0)

    async def push(
        self,
        reference: Reference,
        every_tag: bool,
        platform: str,
        credentials: Credentials | None,
        progress: PushReport,
    ) -> None:
        from scow.images.push import push  # as for pull

        await push(self.parts, reference, every_tag, platform, credentials, progress)

    def save(self, selection: Sequence[tuple[Image, tuple[Reference, ...]]]) -> AsyncGenerator[bytes, None]:
        from scow.images.save import Selected, save

        return save(self.parts, [Selected(image, names) for image, names in selection])

    async def load(
        self, archive: AsyncIterator[bytes], platform: str, progress: Callable[[PullProgress], None]
    ) -> Sequence[Loaded]:
        from scow.images.load import load  # with the decompressors

        return await load(self.parts, archive, Platform.parse(platform) if platform else None, progress)

    async def make(self, new: NewImage, write: Callable[[Callable[[bytes], object]], None]) -> Image:
        from scow.images.commit import make_image  # seldom used

        return await make_image(self.parts, new, write)

    def fetch(self, url: str, progress: Callable[[PullProgress], None]) -> AsyncIterator[bytes]:
        from scow.images.fetch import fetch  # with the HTTP client

        return fetch(url, progress)

    async def check(self, repair: bool, busy: Container[str] = frozenset()) -> Checked:
        from scow.images.check import check

        return await check(self.parts, repair, busy)

    async def search(self, term: str, limit: int, credentials: Credentials | None) -> Sequence[Found]:
        from scow.images.registry.hub import search

        return await search(term, limit, self.parts.settings, credentials)

    async def remote_tags(self, reference: Reference, credentials: Credentials | None) -> list[str]:
        from scow.images.remote import tags

        return await tags(self.parts, reference, credentials)

    async def look(
        self, reference: Reference, credentials: Credentials | None, *, entries: bool = False
    ) -> RemoteManifest:
        from scow.images.remote import look

        return await look(self.parts, reference, credentials, entries=entries)

    async def push_list(
        self,
        reference: Reference,
        data: bytes,
        media_type: str,
        sources: Sequence[ListPart],
        credentials: Credentials | None,
    ) -> tuple[str, list[str]]:
        from scow.images.push_list import push_list

        return await push_list(self.parts, reference, data, media_type, sources, credentials)

    async def tag(self, image_id: str, reference: Reference, source: Reference | None = None) -> None:
        if reference.tag is None or reference.digest is not None:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        await complete(self._tag(image_id, reference, source), "tag")

    async def untag(self, reference: Reference, image_id: str = "") -> None:
        await complete(self._untag(reference, image_id), "untag")

    async def delete(self, image_id: str) -> Sequence[tuple[str, int]]:
        return await complete(self._delete(image_id), "delete")

    # Changes are carried through even when the client goes away in the middle.

    async def _tag(self, image_id: str, reference: Reference, source: Reference | None) -> None:
        await self.parts.catalog.tag(image_id, reference, source)
        await self.parts.export()

    async def _untag(self, reference: Reference, image_id: str) -> None:
        await self.parts.catalog.untag(reference, image_id)
        await self.parts.export()

    async def _delete(self, image_id: str) -> Sequence[tuple[str, int]]:
        chain = self.parts.catalog.only_in(image_id)
        layers, garbage = await self.parts.catalog.delete(image_id)
        self.parts.discard(layers)
        for digest in garbage:
            self.parts.blobs.remove(Digest(digest))
        await self.parts.export()
        freed = {layer.chain_id: layer.size for layer in layers}
        return [(image_id, 0), *((chain_id, freed.get(chain_id, 0)) for chain_id in chain)]

    def layer_sizes(self, image_id: str) -> Sequence[int]:
        image = self.parts.catalog.get(image_id)
        layers = self.parts.catalog.layers
        return [layers[chain_id].size for chain_id in image.chain_ids if chain_id in layers] if image else ()

    async def check_credentials(self, credentials: Credentials) -> str:
        from scow.images.registry.client import connect_to

        client = await connect_to(credentials.server_address, self.parts.settings, credentials)
        try:
            return await client.login()
        finally:
            await client.close()


def open_store(
    data_root: str,
    database: Database,
    *,
    insecure: Sequence[str] = (),
    mirrors: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> tuple[LocalImageStore, OverlaySnapshots]:
    """Open what is below `data_root`, removing what a crash left half-made. `keep` are chain ids and digests that count as in
    use although no image has them (parts.kept holds them).

    Synchronous, before the loop runs. Deleting large left-overs goes on behind the scenes.
    """
    cleaner = ThreadPoolExecutor(1, thread_name_prefix="trash")
    trash = Trash(f"{data_root}/trash", cleaner)
    blobs = BlobStore(f"{data_root}/images")
    trees = Trees(f"{data_root}/layers", trash)
    catalog = Catalog(database, blobs)
    kept = ExitStack()
    kept.enter_context(catalog.hold(keep))
    blobs.sweep(catalog.blobs_in_use())
    trees.sweep(catalog.directories_in_use())
    scratch = f"{data_root}/tmp"
    os.makedirs(scratch, 0o700, exist_ok=True)
    for name in os.listdir(scratch):
        trash.put(f"{scratch}/{name}")
    parts = Parts(catalog, blobs, trees, RegistrySettings(tuple(insecure), tuple(mirrors)), scratch)
    parts.kept.push(kept)
    _refresh_index(blobs, catalog)
    store = LocalImageStore(parts)
    kind = OverlaySnapshots if overlay_works(scratch) else NativeSnapshots
    if kind is NativeSnapshots:
        _log.warning("overlayfs cannot be used below %s: every container gets a full copy of its image", data_root)
    return store, kind(f"{data_root}/rw", parts, trash)


def _refresh_index(blobs: BlobStore, catalog: Catalog) -> None:
    path = f"{blobs.root}/index.json"
    data = index.render(catalog.rows, catalog.name_rows())
    try:
        with open(path, "rb") as stream:
            if stream.read(len(data) + 1) == data:
                return
    except FileNotFoundError:
        pass
    os.makedirs(blobs.root, exist_ok=True)
    write_file(path, data)

"""Repairs of the image store: one blob fetched again, one layer unpacked again."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from scow.errors import DataLoss, NotFound, ScowError
from scow.images.blobs import sync
from scow.images.layer import CorruptLayer, store_blob, unpack_stored
from scow.images.lowerlinks import finished
from scow.images.parts import Parts
from scow.images.pipe import through
from scow.metadata.images import LayerRow
from scow.oci import manifest as manifests
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.documents import MANIFEST_LIMIT
from scow.oci.reference import Reference

if TYPE_CHECKING:
    from scow.images.registry.client import RegistryClient


async def fetch(parts: Parts, digest: Digest, size: int, images: Sequence[str]) -> str:
    """Put a blob of `images` right again and say how: made anew from another document, or fetched from a repository
    that one of the images is named after or came from. The first error of a registry when none has it.
    """
    if await parts.run(_rendered, parts, digest, images):
        return "made anew"
    first: ScowError | None = None
    tried: set[str] = set()
    for image_id in images:
        for name in parts.catalog.names_of(image_id):
            reference = Reference.parse(name)
            if reference.name in tried:
                continue
            tried.add(reference.name)
            try:
                await _from_registry(parts, reference, digest, size)
            except ScowError as error:
                first = first or error
            else:
                return f"fetched again from {reference.familiar_name}"
    raise first or NotFound(f"no repository is known that has blob {digest}: pull or load the image again")


def _rendered(parts: Parts, digest: Digest, images: Sequence[str]) -> bool:
    """The OCI form of a manifest follows from the manifest."""
    for image_id in images:
        row = parts.catalog.row(image_id)
        if row is None or row.listed != digest or row.manifest == digest:
            continue
        try:
            listed = manifests.as_oci(*parts.manifest(row, listed=False))
        except ScowError:
            continue
        if Digest.of(listed) == digest:
            parts.blobs.put(listed, digest)
            return True
    return False


async def _from_registry(parts: Parts, reference: Reference, digest: Digest, size: int) -> None:
    from scow.images.registry.client import connect_to

    descriptor = Descriptor("", digest, size)
    client = await connect_to(reference.domain, parts.settings, None)
    try:
        try:
            await _blob(parts, client.blob(reference, descriptor), descriptor)
        except ScowError:
            if size > MANIFEST_LIMIT or not await _manifest(parts, client, reference, digest):
                raise
    finally:
        await client.close()
    await parts.run(sync, parts.blobs.root)


async def _manifest(parts: Parts, client: "RegistryClient", reference: Reference, digest: Digest) -> bool:
    """Fetch what may be a manifest or an index, which registries do not give as blobs; False when it is none."""
    try:
        data, _ = await client.manifest(reference.with_digest(digest))
    except ScowError:
        return False
    await parts.run(parts.blobs.put, data, digest)
    return True


async def _blob(parts: Parts, chunks: AsyncGenerator[bytes, None], descriptor: Descriptor) -> None:
    try:
        async with aclosing(chunks):
            await through(chunks, lambda read: parts.submit(store_blob, read, descriptor, parts.blobs))
    except CorruptLayer:
        raise DataLoss(f"blob {descriptor.digest} came damaged from the registry, too") from None


async def unpack(parts: Parts, layer: LayerRow, descriptor: Descriptor, below: Sequence[str]) -> LayerRow:
    """The layer once more in a new directory, from its blob."""
    stored = await parts.run(unpack_stored, descriptor, layer.diff_id, parts.blobs, parts.trees, parts.limits)
    lost = next((chain_id for chain_id in below if chain_id not in parts.catalog.layers), None)
    if stored.unpacked.missing_links and lost is not None:
        parts.trees.remove(stored.directory)
        raise NotFound(f"layer {lost} is missing")
    return await finished(parts, replace(layer, directory=stored.directory), stored.unpacked, below)


async def exchange(parts: Parts, layer: LayerRow, fresh: LayerRow) -> None:
    """`fresh` takes the place of a layer, for every chain that shares its directory."""
    await parts.run(sync, parts.blobs.root)
    same = [row for row in parts.catalog.layers.values() if row.directory == layer.directory]
    await parts.catalog.move_layers([replace(row, directory=fresh.directory) for row in same])
    parts.discard([layer])

"""New images from trees on this machine: a layer is archived, compressed, stored and unpacked like a pulled one."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scow.background import complete
from scow.images.archive.writer import TarWriter
from scow.images.blobs import BlobStore, sync
from scow.images.layer import unpack_stored
from scow.images.parts import Parts
from scow.metadata.images import ImageRow, LayerRow
from scow.model.image import Image
from scow.oci import image as image_documents
from scow.oci import manifest as manifests
from scow.oci import media
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.documents import MANIFEST_LIMIT
from scow.oci.image import chain_ids
from scow.oci.manifest import Manifest, render_manifest
from scow.oci.platform import host_platform
from scow.oci.reference import Reference

_LEVEL = 2  # of ISA-L's 0-3: half the time of zlib's 1, its size


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image to be made: `tree` becomes a layer on top of `base`; `config` overrides the base's config by key.
    `created` is in Unix seconds, None for now.
    """

    tree: str
    names: tuple[Reference, ...]
    created_by: str
    base: Image | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""
    created: float | None = None


async def compose(parts: Parts, recipe: Recipe) -> Image:
    """Make the image of a recipe and name it."""
    base = recipe.base
    held = [*base.chain_ids, *parts.catalog.blobs_of(base.id)] if base else []
    descriptor, diff_id = await parts.run(archive_tree, recipe.tree, parts.blobs)
    chain = chain_ids([*(base.diff_ids if base else ()), diff_id])
    try:
        with parts.catalog.hold([*held, chain[-1], descriptor.digest]):
            document, layers = _base(parts, base)
            await _unpack(parts, descriptor, diff_id, chain[-1])
            document = _document(document, recipe, diff_id)
            return await complete(_publish(parts, recipe, document, [*layers, descriptor]), "publish")
    except BaseException:
        await complete(parts.give_up(chain, [descriptor.digest]), "give-up")
        raise


def archive_tree(path: str, blobs: BlobStore) -> tuple[Descriptor, str]:
    """Archive and compress the directory `path` into the blob store: (the blob, its diff id)."""
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, 31)  # 31: a gzip header, with time 0
    plain, packed = hashlib.sha256(), hashlib.sha256()
    ingest = blobs.ingest()
    size = 0

    def store(data: bytes) -> None:
        nonlocal size
        packed.update(data)
        ingest.write(data)
        size += len(data)

    def emit(data: bytes) -> None:
        plain.update(data)
        store(compressor.compress(data))

    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        TarWriter(emit).tree(root)
        store(compressor.flush())
        digest = Digest(f"sha256:{packed.hexdigest()}")
        ingest.commit(digest)
    finally:
        ingest.close()
        os.close(root)
    return Descriptor(media.OCI_LAYER + "+gzip", digest, size), f"sha256:{plain.hexdigest()}"


def _base(parts: Parts, base: Image | None) -> tuple[dict[str, Any], Sequence[Descriptor]]:
    """The config document and the layer descriptors (with OCI media types) of the base."""
    if base is None:
        return {}, ()
    row = parts.catalog.rows[base.id]
    manifest = manifests.parse(parts.blobs.read(Digest.parse(row.listed), MANIFEST_LIMIT), media.OCI_MANIFEST)
    assert isinstance(manifest, Manifest)  # `listed` is written by scow alone
    return parts.catalog.config(base.id).document, manifest.layers


async def _unpack(parts: Parts, descriptor: Descriptor, diff_id: str, chain_id: str) -> None:
    if chain_id in parts.catalog.layers:
        return
    stored = await parts.run(unpack_stored, descriptor, diff_id, parts.blobs, parts.trees, parts.limits)
    await parts.arrive(LayerRow(chain_id, diff_id, stored.directory, stored.unpacked.size))


def _document(base: dict[str, Any], recipe: Recipe, diff_id: str) -> dict[str, Any]:
    platform = host_platform()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(recipe.created))
    entry = {"created": created, "created_by": recipe.created_by, "comment": recipe.comment}
    document = {
        "created": created,
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {**base.get("config", {}), **recipe.config},
        "rootfs": {"type": "layers", "diff_ids": [*base.get("rootfs", {}).get("diff_ids", ()), diff_id]},
        "history": [*base.get("history", ()), {key: value for key, value in entry.items() if value}],
    }
    if platform.variant:
        document["variant"] = platform.variant
    return document


async def _publish(parts: Parts, recipe: Recipe, document: dict[str, Any], layers: Sequence[Descriptor]) -> Image:
    config_data = json.dumps(document, separators=(",", ":")).encode()
    config_digest = Digest.of(config_data)
    manifest = render_manifest(Descriptor(media.OCI_CONFIG, config_digest, len(config_data)), layers)
    manifest_digest = Digest.of(manifest)
    parts.blobs.put(config_data, config_digest)
    parts.blobs.put(manifest, manifest_digest)
    await parts.run(sync, parts.blobs.root)
    row = ImageRow(
        id=str(config_digest),
        manifest=str(manifest_digest),
        media_type=media.OCI_MANIFEST,
        manifest_size=len(manifest),
        listed=str(manifest_digest),
        listed_size=len(manifest),
        parent=recipe.base.id if recipe.base else "",
        stored_at=parts.clock(),
    )
    config = image_documents.parse(config_data)
    blobs = [
        (str(config_digest), len(config_data)),
        (str(manifest_digest), len(manifest)),
        *((str(layer.digest), layer.size) for layer in layers),
    ]
    rows = [parts.catalog.layers[chain_id] for chain_id in chain_ids(config.diff_ids)]
    image = await parts.catalog.add(row, config, blobs, rows, recipe.names)
    await parts.export()
    return image

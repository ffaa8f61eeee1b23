"""New images from trees on this machine: a layer is archived, compressed, stored and unpacked like a pulled one."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scow.background import complete
from scow.images.archive.writer import Emit
from scow.images.differ import write_upper
from scow.images.parts import Parts
from scow.images.produce import Produced, produce
from scow.metadata.images import ImageRow, LayerRow
from scow.model.image import Image
from scow.oci import image as image_documents
from scow.oci import media
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.image import chain_ids
from scow.oci.manifest import render_manifest
from scow.oci.platform import Platform, host_platform
from scow.oci.reference import Reference


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
    document = _document(recipe, parts.catalog.config(recipe.base.id).document if recipe.base else {})

    def write(emit: Emit) -> None:
        write_upper(recipe.tree, emit, whole_seconds=True)

    return await make(parts, write, document, base=recipe.base, names=recipe.names)


async def make(
    parts: Parts,
    write: Callable[[Emit], None],
    document: dict[str, Any],
    *,
    base: Image | None = None,
    names: Sequence[Reference] = (),
) -> Image:
    """A new image: what `write` writes (in a thread) becomes a layer on top of `base`, and the image gets the names.

    `document` is the image config but for `rootfs`; its history has one entry, which is put behind the base's. A layer
    without any entry is not kept, and that history entry says so. In the end all is there, or nothing.
    """
    return await complete(_make(parts, write, document, base, names), "make-image")


async def _make(
    parts: Parts,
    write: Callable[[Emit], None],
    document: dict[str, Any],
    base: Image | None,
    names: Sequence[Reference],
) -> Image:
    with parts.catalog.hold([*base.chain_ids, *parts.catalog.blobs_of(base.id)] if base else []):
        made = await parts.run(produce, write, parts.blobs, parts.trees, parts.limits)
        chain_id = chain_ids([*(base.diff_ids if base else ()), made.diff_id])[-1]
        try:
            with parts.catalog.hold([chain_id, made.descriptor.digest]):
                image = await _keep(parts, made, chain_id, document, base, names)
            await parts.give_up([chain_id], [made.descriptor.digest])  # unless it was deleted meanwhile, nothing
            return image
        except BaseException:
            await parts.give_up([chain_id], [made.descriptor.digest])
            if made.directory not in parts.catalog.directories_in_use():
                parts.trees.remove(made.directory)
            raise
        finally:
            made.ingest.close()


async def _keep(
    parts: Parts,
    made: Produced,
    chain_id: str,
    document: dict[str, Any],
    base: Image | None,
    names: Sequence[Reference],
) -> Image:
    """The layer that was produced gets its place, and the image its documents."""
    diff_ids = [*base.diff_ids] if base else []
    history = [*parts.catalog.config(base.id).history] if base else []
    layers = [*(await parts.run(parts.manifest, parts.catalog.require(base.id)))[0].layers] if base else []
    (entry,) = document["history"]
    if made.unpacked.entries:
        made.ingest.commit(made.descriptor.digest)
        await parts.arrive(LayerRow(chain_id, made.diff_id, made.directory, made.unpacked.size))
        layers.append(made.descriptor)
        diff_ids.append(made.diff_id)
    else:
        parts.trees.remove(made.directory)
        entry = {**entry, "empty_layer": True}
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    whole = {**document, "history": [*history, entry], "rootfs": rootfs}
    return await publish(parts, whole, layers, names, parent=base.id if base else "")


def _document(recipe: Recipe, base: dict[str, Any]) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(recipe.created))
    entry = {"created": created, "created_by": recipe.created_by, "comment": recipe.comment}
    return {
        **platform_fields(host_platform()),
        "created": created,
        "config": {**base.get("config", {}), **recipe.config},
        "history": [{key: value for key, value in entry.items() if value}],
    }


def platform_fields(platform: Platform) -> dict[str, Any]:
    """An image config's words for a platform."""
    fields = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}
    return {key: value for key, value in fields.items() if value}


def render(document: dict[str, Any]) -> bytes:
    """The bytes of an image config that is made here: the same for the same values."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def documents_of(document: dict[str, Any], layers: Sequence[Descriptor]) -> tuple[bytes, bytes]:
    """The bytes of an image's config and of its manifest."""
    config = render(document)
    return config, render_manifest(Descriptor(media.OCI_CONFIG, Digest.of(config), len(config)), layers)


async def publish(
    parts: Parts,
    document: dict[str, Any],
    layers: Sequence[Descriptor],
    names: Sequence[Reference],
    *,
    parent: str = "",
) -> Image:
    """An image config whose layers are all here and held becomes an image with names, or nothing happens."""
    config_data, manifest = documents_of(document, layers)
    config_digest = Digest.of(config_data)
    manifest_digest = Digest.of(manifest)
    row = ImageRow(
        id=str(config_digest),
        manifest=str(manifest_digest),
        media_type=media.OCI_MANIFEST,
        manifest_size=len(manifest),
        listed=str(manifest_digest),
        listed_size=len(manifest),
        parent=parent,
        stored_at=parts.clock(),
    )
    config = image_documents.parse(config_data)
    blobs = [
        (str(config_digest), len(config_data)),
        (str(manifest_digest), len(manifest)),
        *((str(layer.digest), layer.size) for layer in layers),
    ]
    rows = [parts.catalog.layers[chain_id] for chain_id in chain_ids(config.diff_ids)]
    with parts.catalog.hold([config_digest, manifest_digest]):
        try:
            await parts.run(parts.blobs.put_all, {config_digest: config_data, manifest_digest: manifest})
            image = await parts.catalog.add(row, config, blobs, rows, names)
        except BaseException:
            for digest in {config_digest, manifest_digest} - set(parts.catalog.blobs_of(row.id)):
                parts.blobs.remove(digest)
            raise
    await parts.export()
    return image

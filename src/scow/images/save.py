"""Save: images as one tar archive that is Docker's archive (manifest.json) and an OCI image layout (index.json) at once.

The blobs are written as they lie in the store, compressed layers compressed: every reader of these archives (docker load
since 1.10, podman, skopeo, go-containerregistry) takes both, and nothing has to be compressed, decompressed or rebuilt.
The same images give the same bytes. Every blob is hashed again on its way out.
"""

import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scow.background import complete
from scow.errors import DataLoss, NotFound
from scow.images.archive.header import BLOCK
from scow.images.archive.writer import block, record
from scow.images.content import Content
from scow.images.parts import Parts
from scow.model.image import Image
from scow.oci import image as image_documents
from scow.oci import manifest as manifests
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.manifest import Manifest
from scow.oci.media import OCI_INDEX, OCI_MANIFEST
from scow.oci.reference import Reference

_CHUNK = 4 << 20
_LARGEST_SIZE = 0o77777777777
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True)
class Selected:
    """An image to save, with the names that the archive gives it."""

    image: Image
    names: tuple[Reference, ...] = ()


async def save(parts: Parts, selection: Sequence[Selected], *, docker: bool = True) -> AsyncGenerator[bytes, None]:
    """The archive in pieces; without `docker` it is an OCI image layout alone. What cannot be saved is told before the first
    piece; later damage breaks off: DataLoss.
    """
    images = [each.image for each in selection]
    blobs = [digest for image in images for digest in parts.catalog.blobs_of(image.id)]
    chains = [chain_id for image in images for chain_id in image.chain_ids]
    try:
        with parts.catalog.hold([*blobs, *chains]):
            members, documents = await parts.run(_plan, parts, selection)
            if not docker:
                documents = {name: documents[name] for name in ("index.json", "oci-layout")}
            async for piece in _written(parts, members, documents):
                yield piece
    finally:
        await complete(parts.give_up(chains, blobs), "save: tidy")


@dataclass(frozen=True, slots=True)
class Unstored:
    """An image that the store has not: the bytes of its documents. The caller holds its layers."""

    config: bytes
    manifest: bytes
    names: tuple[Reference, ...] = ()


async def save_unstored(parts: Parts, image: Unstored, *, docker: bool = True) -> AsyncGenerator[bytes, None]:
    """The archive that `save` would make of it."""
    config, manifest = image_documents.parse(image.config), manifests.parse(image.manifest, OCI_MANIFEST)
    assert isinstance(manifest, Manifest)
    created = _seconds(config.created)
    members = {_path(layer).encode(): (layer, created) for layer in manifest.layers}
    top = Descriptor(OCI_MANIFEST, Digest.of(image.manifest), len(image.manifest))
    listing = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": _entries(top, image.names)}
    documents = {
        _path(top): image.manifest,
        _path(manifest.config): image.config,
        "index.json": _json(listing),
        "oci-layout": _LAYOUT,
    }
    if docker:
        documents["manifest.json"] = _json([_item(config.diff_ids, image.names, manifest)])
        documents |= _repositories([(image.names, manifest)])
    async for piece in _written(parts, members, documents):
        yield piece


async def _written(
    parts: Parts, members: dict[bytes, tuple[Descriptor, int]], documents: dict[str, bytes]
) -> AsyncGenerator[bytes, None]:
    for directory in (b"blobs/", b"blobs/sha256/"):
        yield block(directory, b"5", mode=0o755)
    for name in sorted(members):
        blob, mtime = members[name]
        yield _header(name, blob.size, mtime)
        async for piece in _pieces(parts, blob):
            yield piece
    for document in sorted(documents):
        data = documents[document]
        yield _header(document.encode(), len(data), 0) + data + bytes(-len(data) % BLOCK)
    yield bytes(2 * BLOCK)


def _header(name: bytes, size: int, mtime: int) -> bytes:
    if size > _LARGEST_SIZE:
        large = record("size", b"%d" % size)
        return (
            block(b"PaxHeaders.0/size", b"x", mode=0o644, size=len(large))
            + large.ljust(BLOCK, b"\0")
            + block(name, b"0", mode=0o644, mtime=mtime)
        )
    return block(name, b"0", mode=0o644, size=size, mtime=mtime)


async def _pieces(parts: Parts, blob: Descriptor) -> AsyncGenerator[bytes, None]:
    """A blob's bytes with their padding; see Content."""
    content = Content(parts, blob, _CHUNK)
    try:
        async with aclosing(content.read(0, blob.size)) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        content.close()
    if padding := bytes(-blob.size % BLOCK):
        yield padding


# ---------------------------------------------------------------- what goes in


def _plan(parts: Parts, selection: Sequence[Selected]) -> tuple[dict[bytes, tuple[Descriptor, int]], dict[str, bytes]]:
    """(blobs and their times by member name, documents by member name). Reads the manifests."""
    members: dict[bytes, tuple[Descriptor, int]] = {}
    items: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    saved: list[tuple[Sequence[Reference], Manifest]] = []
    for each in selection:
        image = each.image
        row = parts.catalog.require(image.id)
        manifest, _ = parts.manifest(row, listed=False)
        created = _seconds(image.created)
        top = Descriptor(row.media_type, Digest(row.manifest), row.manifest_size)
        for descriptor in (manifest.config, *manifest.layers, top):
            _check(parts, descriptor)
            members.setdefault(_path(descriptor).encode(), (descriptor, created))
        item = _item(image.diff_ids, each.names, manifest)
        if any(other.image.id == image.parent for other in selection):
            item["Parent"] = image.parent
        items.append(item)
        entries.extend(_entries(top, each.names))
        saved.append((each.names, manifest))
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    documents = {"index.json": _json(index), "manifest.json": _json(items), "oci-layout": _LAYOUT}
    return members, documents | _repositories(saved)


def _repositories(images: Sequence[tuple[Sequence[Reference], Manifest]]) -> dict[str, bytes]:
    """The oldest of the lists of names; none without names."""
    found: dict[str, dict[str, str]] = {}
    for names, manifest in images:
        for name in names:
            layer = manifest.layers[-1].digest.hex if manifest.layers else ""
            found.setdefault(name.familiar_name, {})[name.tag or ""] = layer
    return {"repositories": _json(found)} if found else {}


def _item(diff_ids: Sequence[str], names: Sequence[Reference], manifest: Manifest) -> dict[str, Any]:
    sources = {diff_id: layer.document() for diff_id, layer in zip(diff_ids, manifest.layers, strict=True)}
    return {
        "Config": _path(manifest.config),
        "RepoTags": [name.familiar for name in names] or None,
        "Layers": [_path(layer) for layer in manifest.layers],
        "LayerSources": sources,
    }


def _entries(top: Descriptor, names: Sequence[Reference]) -> list[dict[str, Any]]:
    if not names:
        return [top.document()]
    return [
        {
            **top.document(),
            "annotations": {"io.containerd.image.name": str(name), "org.opencontainers.image.ref.name": name.tag},
        }
        for name in names
    ]


def _check(parts: Parts, descriptor: Descriptor) -> None:
    try:
        size = os.stat(parts.blobs.path(descriptor.digest)).st_size
    except FileNotFoundError:
        raise NotFound(f"blob {descriptor.digest} is missing: run `scow system check --repair`") from None
    if size != descriptor.size:
        raise DataLoss(f"blob {descriptor.digest} is damaged: run `scow system check --repair`")


def _path(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _seconds(created: str) -> int:
    """The image's creation time for the members' mtime, 0 when it has none that a header can hold."""
    try:
        moment = datetime.fromisoformat(created[:19] + "+00:00").timestamp()
    except ValueError:
        return 0
    return min(max(int(moment), 0), _LARGEST_SIZE)

"""Manifests and indexes: https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md, and Docker's schema 2.

A document must be one thing only: its own mediaType, the Content-Type it came with and the descriptor that led to it
agree, and nothing has both layers and manifests (CVE-2021-41190).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scow.oci import media
from scow.oci.descriptor import Descriptor
from scow.oci.documents import MANIFEST_LIMIT, InvalidDocument, list_field, load, text_field
from scow.oci.platform import Platform

LAYER_LIMIT = 127
"""Docker's bound; the kernel's overlay takes 500 lower directories."""
_INDEX_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: its config and its layers from base to top."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Several images, told apart by platform."""

    media_type: str
    manifests: tuple[Descriptor, ...]

    def choose(self, platform: Platform) -> Descriptor | None:
        """The manifest that `platform` runs best; the first of equals; None when it runs none."""
        best: tuple[int, Descriptor] | None = None
        for descriptor in self.manifests:
            if descriptor.media_type not in media.MANIFESTS or descriptor.platform is None:
                continue
            rank = platform.runs(descriptor.platform)
            if rank is not None and (best is None or rank < best[0]):
                best = (rank, descriptor)
        return best[1] if best else None


def parse(data: bytes, content_type: str, expected: str = "") -> Manifest | Index:
    """The manifest or index in `data`, which came as `content_type` and was announced as `expected` ("": unknown)."""
    document = load(data, "manifest", MANIFEST_LIMIT)
    media_type = _media_type(document, content_type, expected)
    has_layers = "layers" in document or "config" in document or "fsLayers" in document
    if "manifests" in document and has_layers:
        raise InvalidDocument("manifest is ambiguous: it has both manifests and layers")
    if document.get("schemaVersion") != 2:
        raise InvalidDocument(f"manifest: unsupported schemaVersion {str(document.get('schemaVersion'))[:20]}")
    if media_type in media.INDEXES:
        return Index(media_type, _descriptors(document, "manifests", _INDEX_ENTRIES))
    if "manifests" in document or "config" not in document:
        raise InvalidDocument(f"manifest is not what its media type {media_type} says")
    config = Descriptor.parse(document["config"], "manifest config")
    if config.media_type not in media.CONFIGS:
        raise InvalidDocument(f"not an image: the config has the media type {config.media_type[:120]!r}")
    layers = _descriptors(document, "layers", LAYER_LIMIT)
    for layer in layers:
        if layer.media_type not in media.LAYERS:
            raise InvalidDocument(f"layer {layer.digest.short}: unsupported media type {layer.media_type[:120]!r}")
    return Manifest(media_type, config, layers)


def _media_type(document: dict[str, Any], content_type: str, expected: str) -> str:
    """The one media type of a document. Registries that send no useful Content-Type are believed in the body."""
    sent = content_type.partition(";")[0].strip().lower()
    inside = text_field(document, "mediaType", "manifest")
    known = media.INDEXES | media.MANIFESTS
    candidates = [kind for kind in (sent, inside, expected) if kind in known]
    if inside and inside not in known:
        raise InvalidDocument(f"unsupported manifest media type {inside[:120]!r}")
    if not candidates:
        if sent.endswith("manifest.v1+prettyjws") or document.get("schemaVersion") == 1:
            raise InvalidDocument("manifest has Docker's schema 1, which is no longer supported: push the image again")
        raise InvalidDocument(f"unsupported manifest media type {(sent or 'none')[:120]!r}")
    if len(set(candidates)) > 1:
        raise InvalidDocument(f"manifest media types disagree: {', '.join(dict.fromkeys(candidates))}")
    return candidates[0]


def _descriptors(document: dict[str, Any], key: str, limit: int) -> tuple[Descriptor, ...]:
    values = list_field(document, key, "manifest")
    if len(values) > limit:
        raise InvalidDocument(f"manifest has {len(values)} {key}, more than the {limit} allowed")
    return tuple(Descriptor.parse(value, f"manifest {key}[{number}]") for number, value in enumerate(values))


def render_manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """An OCI manifest. Deterministic: the same descriptors give the same bytes."""
    import json

    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": config.document(),
        "layers": [layer.document() for layer in layers],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def as_oci(manifest: Manifest, data: bytes) -> bytes:
    """The manifest `data` itself when it is an OCI one, else the OCI manifest of the same blobs."""
    if manifest.media_type == media.OCI_MANIFEST:
        return data
    config = replace(manifest.config, media_type=media.OCI_CONFIG)
    return render_manifest(config, [replace(layer, media_type=_oci_layer(layer)) for layer in manifest.layers])


def _oci_layer(layer: Descriptor) -> str:
    kind = layer.media_type.rpartition(".")[2].rpartition("+")[2]
    return f"{media.OCI_LAYER}+{kind}" if kind in ("gzip", "zstd") else media.OCI_LAYER

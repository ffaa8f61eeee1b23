"""index.json of the image layout: a copy of the catalog for skopeo, oras and other readers of OCI layouts."""

import json
from collections.abc import Iterable, Mapping

from scow.metadata.images import ImageRow, NameRow
from scow.oci.media import OCI_MANIFEST

REF_NAME = "org.opencontainers.image.ref.name"


def render(rows: Mapping[str, ImageRow], names: Iterable[NameRow]) -> bytes:
    """The document: one entry for each name, one without a name for each image that has none."""
    entries = []
    named = set()
    for name in sorted(names, key=lambda row: row.name):
        row = rows.get(name.image_id)
        if row is not None:
            named.add(row.id)
            entries.append({**_descriptor(row), "annotations": {REF_NAME: name.name}})
    entries.extend(_descriptor(row) for id_, row in sorted(rows.items()) if id_ not in named)
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _descriptor(row: ImageRow) -> dict[str, object]:
    return {"mediaType": OCI_MANIFEST, "digest": row.listed, "size": row.listed_size}

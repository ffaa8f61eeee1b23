"""An image for several platforms in a registry."""

import json

from tests.harness.faultreg import INDEX, FaultRegistry
from tests.harness.registry import Image, digest
from tests.unit.images.craft import archive, file


def add_index(registry: FaultRegistry, name: str, *architectures: str, salt: str = "") -> str:
    """Put `name:ARCHITECTURE` for each, and their manifest list as `name:latest`; returns its digest."""
    entries = []
    for architecture in architectures:
        image = Image([archive(file(b"arch", f"{architecture}{salt}".encode()))])
        manifest, config, layers = image.parts()
        config = config.replace(b'"amd64"', f'"{architecture}"'.encode())
        parsed = json.loads(manifest)
        parsed["config"].update(digest=digest(config), size=len(config))
        data = json.dumps(parsed).encode()
        registry.put_manifest(name, architecture, data, parsed["mediaType"])
        for blob in (config, *layers):
            registry.blobs[digest(blob)] = blob
        entries.append({
            "mediaType": parsed["mediaType"], "digest": digest(data), "size": len(data),
            "platform": {"os": "linux", "architecture": architecture},
        })  # fmt: skip
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    registry.put_manifest(name, "latest", index, INDEX)
    return digest(index)

"""Archives of images for tests, in the forms that docker save, podman and skopeo write."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar(members: Mapping[str, bytes]) -> bytes:
    """A plain archive of files, in the order given."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Made:
    """One image to be put into an archive. `layers` are plain tars."""

    layers: Sequence[bytes] = ()
    names: Sequence[str] = ()
    config: dict[str, Any] = field(default_factory=dict)
    created: str = "2024-05-06T07:08:09Z"
    architecture: str = "amd64"
    variant: str = ""
    parent: "Made | None" = None
    empty_steps: int = 0

    @property
    def history(self) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = [
            {"created": self.created, "created_by": f"step {number}"} for number, _ in enumerate(self.layers)
        ]
        if self.parent is not None:
            steps = self.parent.history + steps[len(self.parent.layers) :]
        more = {"created": self.created, "created_by": "LABEL", "empty_layer": True}
        return steps + [more] * self.empty_steps

    @property
    def config_data(self) -> bytes:
        document: dict[str, Any] = {
            "created": self.created,
            "architecture": self.architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in self.layers]},
            "history": self.history,
        }
        if self.variant:
            document["variant"] = self.variant
        return json.dumps(document).encode()

    @property
    def id(self) -> str:
        return f"sha256:{sha256(self.config_data)}"


def docker_members(images: Sequence[Made]) -> dict[str, bytes]:
    """What Docker 20 writes: a config file by its id, one layer.tar in a directory of its own each."""
    members: dict[str, bytes] = {}
    items = []
    for image in images:
        config = image.id.removeprefix("sha256:") + ".json"
        members[config] = image.config_data
        paths = []
        for layer in image.layers:
            path = f"{sha256(b'v1' + layer)}/layer.tar"
            members[path] = layer
            paths.append(path)
        item: dict[str, Any] = {"Config": config, "RepoTags": list(image.names) or None, "Layers": paths}
        if image.parent is not None:
            item["Parent"] = image.parent.id
        items.append(item)
    members["manifest.json"] = json.dumps(items).encode()
    return members


def docker_archive(*images: Made) -> bytes:
    return tar(docker_members(images))


def layout_members(images: Sequence[Made], compress: Any = None, index: bool = False) -> dict[str, bytes]:
    """An OCI layout; `compress` is applied to each layer; with `index` all images are one index with platforms."""
    members: dict[str, bytes] = {}

    def blob(data: bytes, media_type: str) -> dict[str, Any]:
        members[f"blobs/sha256/{sha256(data)}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{sha256(data)}", "size": len(data)}

    entries = []
    for image in images:
        kind = "application/vnd.oci.image.layer.v1.tar"
        layers = [blob(compress(layer), f"{kind}+gzip") if compress else blob(layer, kind) for layer in image.layers]
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(image.config_data, "application/vnd.oci.image.config.v1+json"),
            "layers": layers,
        }
        entry = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
        if index:
            entry["platform"] = {"os": "linux", "architecture": image.architecture}
        elif image.names:
            entry["annotations"] = {"org.opencontainers.image.ref.name": image.names[0]}
        entries.append(entry)
    if index:
        kind = "application/vnd.oci.image.index.v1+json"
        document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
        entries = [blob(json.dumps(document).encode(), kind)]
        if images[0].names:
            entries[0]["annotations"] = {"io.containerd.image.name": images[0].names[0]}
    members["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return members


def layer(name: str, size: int = 1000) -> bytes:
    """A plain layer with one file that no other has."""
    return tar({name: (name.encode() * (size // len(name) + 1))[:size]})

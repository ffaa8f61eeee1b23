"""Image configs: https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md, with Docker's additions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scow.errors import InvalidArgument
from scow.oci.digest import Digest
from scow.oci.documents import CONFIG_LIMIT, InvalidDocument, list_field, load, object_field, text_field


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """A checked image config. `document` is the whole JSON, `config` its part about the process (shape unchecked)."""

    architecture: str
    os: str
    variant: str
    created: str
    diff_ids: tuple[Digest, ...]
    history: tuple[dict[str, Any], ...]
    config: dict[str, Any]
    document: dict[str, Any]


def parse(data: bytes) -> ImageConfig:
    """The image config in `data`."""
    what = "image config"
    document = load(data, what, CONFIG_LIMIT)
    rootfs = object_field(document, "rootfs", what)
    if rootfs.get("type") != "layers":
        raise InvalidDocument(f"{what}: rootfs type {str(rootfs.get('type'))[:40]!r} is not layers")
    history = list_field(document, "history", what)
    if not all(isinstance(entry, dict) for entry in history):
        raise InvalidDocument(f"{what}: history is not a list of objects")
    system = text_field(document, "os", what) or "linux"
    if system != "linux":
        raise InvalidDocument(f"{what}: an image for {system[:40]!r} cannot run here")
    return ImageConfig(
        architecture=text_field(document, "architecture", what),
        os=system,
        variant=text_field(document, "variant", what),
        created=text_field(document, "created", what),
        diff_ids=tuple(_digest(value) for value in list_field(rootfs, "diff_ids", what)),
        history=tuple(history),
        config=object_field(document, "config", what),
        document=document,
    )


def _digest(value: Any) -> Digest:
    if not isinstance(value, str):
        raise InvalidDocument("image config: a diff id is not a string")
    try:
        return Digest.parse(value)
    except InvalidArgument as error:
        raise InvalidDocument(f"image config: diff id: {error.message}") from None


def chain_ids(diff_ids: Sequence[str]) -> tuple[Digest, ...]:
    """The ChainID after each layer: the first is the diff id, each next the digest of "chain diff"."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        if chain:
            chain.append(Digest("sha256:" + hashlib.sha256(f"{chain[-1]} {diff_id}".encode()).hexdigest()))
        else:
            chain.append(Digest(diff_id))
    return tuple(chain)

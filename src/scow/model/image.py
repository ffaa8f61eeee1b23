"""Images as the engine sees them: identity, configuration, layers, names."""

from collections.abc import Iterable
from dataclasses import dataclass

from scow.model.container import ContainerConfig
from scow.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of an image's history; created is RFC 3339 text as the image config has it ("" if absent)."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """One image. `id` is the config's digest. `tags` are familiar names (`nginx:latest`), `digests` are
    `name@sha256:…`; `behind` are those of both that mean another platform's image first. `size` is the bytes of the
    unpacked layers. `chain_ids` run from base to top, one per diff id.
    """

    id: str
    architecture: str
    os: str
    created: str
    config: ContainerConfig
    variant: str = ""
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    diff_ids: tuple[str, ...] = ()
    chain_ids: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    size: int = 0
    tagged_at: int = 0
    parent: str = ""

    @property
    def platform(self) -> Platform:
        return Platform.normalised(self.os, self.architecture, self.variant)


def best(images: Iterable[Image], wanted: Platform) -> Image | None:
    """The image that `wanted` runs best, the first of equals; None when it runs none."""
    ranked = [(rank, image) for image in images if (rank := wanted.runs(image.platform)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None

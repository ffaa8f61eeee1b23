"""Images as the engine sees them: identity, configuration, layers, names."""

from dataclasses import dataclass

from scow.model.container import ContainerConfig


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
    `name@sha256:…`. `size` is the bytes of the unpacked layers. `chain_ids` run from base to top, one per diff id.
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
    size: int = 0
    tagged_at: int = 0
    parent: str = ""

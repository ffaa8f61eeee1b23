"""Wire types of what registries and hubs are asked for."""

import msgspec

from scow.api.values import UNSET, UnsetType


class SearchItem(msgspec.Struct):
    """One repository of GET /images/search."""

    star_count: int
    is_official: bool
    name: str
    is_automated: bool
    description: str


class DescriptorItem(msgspec.Struct):
    mediaType: str
    digest: str
    size: int


class PlatformItem(msgspec.Struct):
    architecture: str
    os: str
    variant: str | UnsetType = UNSET


class DistributionInspect(msgspec.Struct):
    """GET /distribution/{name}/json."""

    Descriptor: DescriptorItem
    Platforms: list[PlatformItem]


class RemoteDocument(msgspec.Struct):
    """GET /scow/registry/manifest: a document's bytes in base64; of an index also its entries when they are asked for."""

    Descriptor: DescriptorItem
    Raw: str
    Platform: PlatformItem | UnsetType = UNSET
    Entries: list["RemoteDocument"] = []


class RemoteTags(msgspec.Struct):
    """GET /scow/registry/tags."""

    Tags: list[str]


class ListSource(msgspec.Struct):
    """A manifest that a list names: its bytes in base64, and the repository that has it."""

    Repository: str
    MediaType: str
    Raw: str


class ListBody(msgspec.Struct):
    """POST /scow/registry/manifest: a manifest list, bytes in base64, and what comes from other repositories with it."""

    MediaType: str
    Raw: str
    Manifests: list[ListSource] = []


class ListPushed(msgspec.Struct):
    """The digests of the list and of the manifests that were brought."""

    Digest: str
    Manifests: list[str]

"""Images as list, inspect and history show them."""

import msgspec

from scow.api.config import Config as ConfigStruct
from scow.api.container import GraphDriverInfo
from scow.api.values import UNSET, UnsetType


class ImageSummary(msgspec.Struct):
    """One line of GET /images/json."""

    Containers: int
    Created: int
    Id: str
    Labels: dict[str, str] | None
    ParentId: str
    RepoDigests: list[str] | None
    RepoTags: list[str] | None
    SharedSize: int
    Size: int
    VirtualSize: int | UnsetType = UNSET


class RootFs(msgspec.Struct):
    Type: str
    Layers: list[str]


class ImageMetadata(msgspec.Struct):
    LastTagTime: str


class ImageInspect(msgspec.Struct):
    """GET /images/{name}/json."""

    Id: str
    RepoTags: list[str]
    RepoDigests: list[str]
    Parent: str
    Comment: str
    Created: str | UnsetType
    Container: str | UnsetType
    ContainerConfig: ConfigStruct | UnsetType
    DockerVersion: str
    Author: str
    Config: ConfigStruct
    Architecture: str
    Variant: str | UnsetType
    Os: str
    Size: int
    VirtualSize: int | UnsetType
    GraphDriver: GraphDriverInfo
    RootFS: RootFs
    Metadata: ImageMetadata


class History(msgspec.Struct):
    Comment: str
    Created: int
    CreatedBy: str
    Id: str
    Size: int
    Tags: list[str] | None


class DeletedItem(msgspec.Struct):
    Untagged: str | UnsetType = UNSET
    Deleted: str | UnsetType = UNSET


class PruneImages(msgspec.Struct):
    ImagesDeleted: list[DeletedItem] | None
    SpaceReclaimed: int


class ProgressDetail(msgspec.Struct):
    current: int | UnsetType = UNSET
    total: int | UnsetType = UNSET


class Progress(msgspec.Struct):
    """One line of a pull's answer."""

    status: str
    progressDetail: ProgressDetail | UnsetType = UNSET
    progress: str | UnsetType = UNSET
    id: str | UnsetType = UNSET


class Pushed(msgspec.Struct):
    Tag: str
    Digest: str
    Size: int


class PushedLine(msgspec.Struct):
    """What clients read of a push's answer: the digest under which the tag is there now."""

    progressDetail: ProgressDetail
    aux: Pushed


class SentenceLine(msgspec.Struct):
    """Text for the user, as load writes it."""

    stream: str


class BuiltId(msgspec.Struct):
    ID: str


class BuiltLine(msgspec.Struct):
    """What clients read of a build's answer: the image of a stage."""

    aux: BuiltId


class BuiltMetadata(msgspec.Struct):
    """Under BuildKit's names."""

    config_digest: str = msgspec.field(name="containerimage.config.digest")
    digest: str = msgspec.field(name="containerimage.digest")
    name: str | UnsetType = msgspec.field(name="image.name", default=UNSET)


class MetadataAux(msgspec.Struct):
    Metadata: BuiltMetadata


class MetadataLine(msgspec.Struct):
    """For scow's own client, which asks for it."""

    aux: MetadataAux


class ErrorDetail(msgspec.Struct):
    """`code`: that of the process which failed, if it was one."""

    code: int | UnsetType
    message: str


class ErrorLine(msgspec.Struct):
    """The last line of an answer that has begun with 200 and failed."""

    errorDetail: ErrorDetail
    error: str


class AuthAnswer(msgspec.Struct):
    IdentityToken: str
    Status: str

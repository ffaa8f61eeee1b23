"""Images: domain to wire."""

from msgspec import UNSET, UnsetType

from scow.api.config import Config
from scow.api.container import GraphDriverInfo
from scow.api.image import History, ImageInspect, ImageMetadata, ImageSummary, RootFs
from scow.engine.context import Engine
from scow.engine.images.query import HistoryItem, created_ns
from scow.model.image import Image
from scow.server.docker.convert.config import show_config
from scow.server.docker.convert.times import ZERO, rfc3339
from scow.server.docker.version import Version

# From 1.44 on these are gone.
_OLD_FIELDS: Version = (1, 43)
_CONTAINER_CONFIG: Version = (1, 44)
# Up to here an image without a name is shown with these.
_OLD_NAMES: Version = (1, 42)


def show_image_summary(image: Image, version: Version, containers: int = -1, shared: int = -1) -> ImageSummary:
    """One line of GET /images/json."""
    tags: list[str] | None = list(image.tags)
    digests: list[str] | None = list(image.digests)
    if version <= _OLD_NAMES:
        if not tags and not digests:
            tags, digests = ["<none>:<none>"], ["<none>@<none>"]
        tags, digests = tags or None, digests or None
    return ImageSummary(
        Containers=containers,
        Created=created_ns(image) // 1_000_000_000,
        Id=image.id,
        Labels=image.config.labels or None,
        ParentId=image.parent,
        RepoDigests=digests,
        RepoTags=tags,
        SharedSize=shared,
        Size=image.size,
        VirtualSize=image.size if version <= _OLD_FIELDS else UNSET,
    )


def show_image(engine: Engine, image: Image, version: Version, *, container_config: bool = False) -> ImageInspect:
    """GET /images/{name}/json. `container_config`: the client wants that field whatever the version."""
    old = version <= _OLD_FIELDS
    created: str | UnsetType = image.created or (ZERO if old else UNSET)
    return ImageInspect(
        Id=image.id,
        RepoTags=list(image.tags),
        RepoDigests=list(image.digests),
        Parent=image.parent,
        Comment=image.comment,
        Created=created,
        Container=UNSET,
        ContainerConfig=Config() if container_config or version <= _CONTAINER_CONFIG else UNSET,
        DockerVersion=image.docker_version,
        Author=image.author,
        Config=show_config(image.config, image=True),
        Architecture=image.architecture,
        Variant=image.variant or UNSET,
        Os=image.os,
        Size=image.size,
        VirtualSize=image.size if old else UNSET,
        GraphDriver=_graph_driver(engine, image),
        RootFS=RootFs("layers", list(image.diff_ids)),
        Metadata=ImageMetadata(rfc3339(image.tagged_at)),
    )


def _graph_driver(engine: Engine, image: Image) -> GraphDriverInfo:
    """Where the image's layers lie. There is no merged or work directory: an image is never mounted."""
    if not image.chain_ids:
        return GraphDriverInfo({}, "overlay2")
    lowers, _, _ = engine.snapshots.directories("", image.chain_ids)
    data = {"UpperDir": lowers[0]} if lowers else {}
    if len(lowers) > 1:
        data["LowerDir"] = ":".join(lowers[1:])
    return GraphDriverInfo(data, "overlay2")


def show_history(item: HistoryItem) -> History:
    return History(
        Comment=item.comment,
        Created=item.created,
        CreatedBy=item.created_by,
        Id=item.id,
        Size=item.size,
        Tags=list(item.tags) or None,
    )

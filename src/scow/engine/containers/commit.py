"""Commit: what a container has become is an image."""

from dataclasses import dataclass, replace
from functools import partial

from scow.background import complete
from scow.build import changes
from scow.engine.containers import diff, freezing, happenings, signals
from scow.engine.context import Engine
from scow.engine.registry import Entry
from scow.errors import Conflict
from scow.model import health
from scow.model.container import ContainerConfig
from scow.model.image import Image
from scow.model.making import NewImage
from scow.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """`config` None is the container's own; `changes` are Dockerfile instructions; `name` None leaves it without one."""

    container: str
    name: Reference | None = None
    author: str = ""
    comment: str = ""
    changes: tuple[str, ...] = ()
    config: ContainerConfig | None = None
    pause: bool = True


async def commit(engine: Engine, request: CommitRequest) -> Image:
    """Make the image. It is done to its end when the caller is cancelled; on an error nothing is left."""
    entry = engine.containers.find(request.container)
    container = entry.container
    if container.status.state == "dead":
        raise Conflict(f"You cannot commit container {container.id} which is Dead")
    if entry.removing or container.status.state == "removing":
        raise Conflict(f"You cannot commit container {container.id} which is being removed")
    config = changes.apply(request.config or container.config, request.changes, signals.number)
    new = NewImage(
        config=merge(config, container.config),
        created=engine.clock(),
        base=engine.images.resolve(container.image_id),
        names=(request.name,) if request.name else (),
        author=request.author,
        comment=request.comment,
        created_by=" ".join(container.config.cmd or ()),
        container_id=container.id,
        container_config=container.config,
    )
    return await complete(_commit(engine, request, entry, new), f"commit-{container.id[:12]}")


async def _commit(engine: Engine, request: CommitRequest, entry: Entry, new: NewImage) -> Image:
    if not request.pause:
        return await _make(engine, request, entry, new)
    async with freezing.frozen(engine, entry):
        return await _make(engine, request, entry, new)


async def _make(engine: Engine, request: CommitRequest, entry: Entry, new: NewImage) -> Image:
    container = entry.container
    write = partial(engine.snapshots.write_changes, container.id, container.layers, diff.MOUNT_POINTS)
    image = await engine.images.make(new, write)
    extra = {"comment": request.comment, "imageID": image.id, "imageRef": request.name.familiar if request.name else ""}
    happenings.publish(engine, container, "commit", **extra)
    return image


def merge(config: ContainerConfig, base: ContainerConfig) -> ContainerConfig:
    """`config` with what it leaves open taken from the container's, by Docker's rules for commit."""
    names = {word.partition("=")[0] for word in config.env}
    cmd, args_escaped = config.cmd, config.args_escaped
    if not config.entrypoint and not cmd:
        cmd, args_escaped = base.cmd, base.args_escaped
    return replace(
        config,
        user=config.user or base.user,
        env=config.env + tuple(word for word in base.env if word.partition("=")[0] not in names),
        cmd=cmd,
        args_escaped=args_escaped,
        entrypoint=base.entrypoint if config.entrypoint is None else config.entrypoint,
        working_dir=config.working_dir or base.working_dir,
        labels={**base.labels, **config.labels},
        exposed_ports=tuple(sorted({*base.exposed_ports, *config.exposed_ports})),
        volumes=tuple(sorted({*base.volumes, *config.volumes})),
        stop_signal=config.stop_signal or base.stop_signal,
        healthcheck=health.merge(config.healthcheck, base.healthcheck),
    )

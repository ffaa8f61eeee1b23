"""Remove: take a name away, and the image itself when that was the last."""

from dataclasses import dataclass

from scow.engine.context import Engine
from scow.errors import Conflict
from scow.model import transitions
from scow.model.event import Event
from scow.model.image import Image
from scow.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of the answer; one of the two is empty."""

    untagged: str = ""
    deleted: str = ""


async def remove(engine: Engine, name: str, force: bool = False, prune: bool = True) -> list[Removed]:
    """By Docker's rules: a name is untagged; an id deletes when it has one name only, or with force."""
    image = engine.images.resolve(name)
    by_id = _is_id(image, name)
    names = [*image.tags]
    if by_id and len(names) > 1 and not force:
        raise Conflict(
            f"conflict: unable to delete {_short(image)} (must be forced) - "
            "image is referenced in multiple repositories"
        )
    if not by_id:
        reference = Reference.parse(name)
        if reference.digest is None:
            reference = reference.with_default_tag()
        left = [tag for tag in names if tag != reference.familiar]
        if reference.digest is None and left:
            gone = [reference.familiar]
            if not any(Reference.parse(tag).name == reference.name for tag in left):
                # with a repository's last name its digests go, too
                gone += [text for text in image.digests if Reference.parse(text).name == reference.name]
            for text in gone:
                await engine.images.untag(Reference.parse(text))
            _publish(engine, image, "untag")
            return [Removed(untagged=text) for text in gone]
        if reference.digest is not None and names:
            await engine.images.untag(reference)
            return [Removed(untagged=reference.familiar)]
    _check_unused(engine, image, force, by_id, name)
    return await _delete(engine, image, keep=_is_used(engine, image))


async def _delete(engine: Engine, image: Image, *, keep: bool) -> list[Removed]:
    """Untag everything; delete unless a stopped container still needs it (it stays without a name then)."""
    result = []
    for text in (*image.tags, *image.digests):
        await engine.images.untag(Reference.parse(text))
        _publish(engine, image, "untag")
        result.append(Removed(untagged=text))
    if keep:
        return result
    deleted = await engine.images.delete(image.id)
    _publish(engine, image, "delete")
    return result + [Removed(deleted=id_) for id_ in deleted]


def _users(engine: Engine, image: Image) -> list[tuple[str, bool]]:
    return [
        (entry.container.id, entry.container.status.state in transitions.RUNNING)
        for entry in engine.containers
        if entry.container.image_id == image.id
    ]


def _is_used(engine: Engine, image: Image) -> bool:
    return bool(_users(engine, image))


def _check_unused(engine: Engine, image: Image, force: bool, by_id: bool, name: str) -> None:
    for container_id, running in _users(engine, image):
        short = container_id[:12]
        if by_id and (running or not force):
            how, state = ("cannot be forced", "running") if running else ("must be forced", "stopped")
            raise Conflict(
                f"conflict: unable to delete {_short(image)} ({how}) - image is being used by {state} container {short}"
            )
        if not by_id and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - '
                f"container {short} is using its referenced image {_short(image)}"
            )


def _is_id(image: Image, name: str) -> bool:
    plain = name.removeprefix("sha256:")
    return (
        len(plain) >= 1
        and image.id.removeprefix("sha256:").startswith(plain)
        and name not in image.tags
        and f"{name}:latest" not in image.tags
    )


def _short(image: Image) -> str:
    return image.id.removeprefix("sha256:")[:12]


def _publish(engine: Engine, image: Image, action: str) -> None:
    engine.events.publish(Event("image", action, image.id, {**image.config.labels, "name": image.id}, engine.clock()))

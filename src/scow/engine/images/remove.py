"""Remove: take a name away, and the image itself when that was the last. The rules are those of Docker's classic store."""

from dataclasses import dataclass

from scow.engine.context import Engine
from scow.engine.images.platforms import choose, is_id
from scow.errors import Conflict
from scow.model import transitions
from scow.model.event import Event
from scow.model.image import Image
from scow.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of the answer; one of the two texts is empty. `freed` is in bytes."""

    untagged: str = ""
    deleted: str = ""
    freed: int = 0


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Why an image cannot be deleted. A hard one cannot be forced; `used`: by a container."""

    reason: str
    hard: bool
    used: bool = False

    def conflict(self, image_id: str) -> Conflict:
        how = "cannot be forced" if self.hard else "must be forced"
        return Conflict(f"conflict: unable to delete {_short(image_id)} ({how}) - {self.reason}")


async def remove(
    engine: Engine, name: str, force: bool = False, prune: bool = True, platform: str = ""
) -> list[Removed]:
    """A name is untagged, for all its platforms or with `platform` for that one, and deletes when it was the last; an id
    deletes when all its names are of one repository, or with force. With `prune`, parents that have no name and no other
    use go, too.
    """
    if unreadable := engine.images.unreadable(name):
        return await _remove_unreadable(engine, unreadable, force)
    image = choose(engine, name, platform)
    if is_id(image, name):
        return await _remove_by_id(engine, image, force, prune)
    images = [image] if platform else list(engine.images.variants(name))
    for each in images if not force else ():
        for container_id, _ in _users(engine, each.id) if _single(_references(each)) else ():
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - '
                f"container {container_id[:12]} is using its referenced image {_short(each.id)}"
            )
    reference = Reference.parse(name)
    reference = reference.with_default_tag() if reference.digest is None else reference.with_digest(reference.digest)
    removed = []
    for each in reversed(images):  # the name goes with the image that it means here
        removed += await _untag(engine, each, reference)
    for each in images:
        removed += await _drop_unnamed(engine, each, reference, force, prune)
    return removed


async def _drop_unnamed(engine: Engine, image: Image, reference: Reference, force: bool, prune: bool) -> list[Removed]:
    """Delete an image that has lost this reference, if that was its last."""
    left = _references(engine.images.resolve(image.id))
    removed = []
    if reference.digest is None and not any(
        each.name == reference.name and each.digest is None for each in left
    ):  # with a repository's last tag its digests go, too
        for each in [each for each in left if each.name == reference.name]:
            removed += await _untag(engine, image, each, tell=False)
        left = [each for each in left if each.name != reference.name]
    if left:
        return removed
    return removed + await _delete(engine, image, force, prune, quiet=True)


async def _remove_by_id(engine: Engine, image: Image, force: bool, prune: bool) -> list[Removed]:
    references = _references(image)
    removed = []
    if _single(references):
        obstacle = _obstacle(engine, image, force, names_count=False)
        if obstacle is not None:
            raise obstacle.conflict(image.id)
        for reference in references:
            removed += await _untag(engine, image, reference)
    return removed + await _delete(engine, engine.images.resolve(image.id), force, prune, quiet=False)


async def _delete(engine: Engine, image: Image, force: bool, prune: bool, quiet: bool) -> list[Removed]:
    """Delete an image with all its names. `quiet`: what stands in the way of a by-product is no error."""
    removed: list[Removed] = []
    while True:
        image = engine.images.resolve(image.id)
        obstacle = _obstacle(engine, image, force)
        if obstacle is not None:
            dangling = not _references(image) and not _children(engine, image)
            if quiet and (not dangling or obstacle.used):
                return removed
            raise obstacle.conflict(image.id)
        for reference in _references(image):
            removed += await _untag(engine, image, reference)
        removed += [Removed(deleted=id_, freed=size) for id_, size in await engine.images.delete(image.id)]
        _publish(engine, image, "delete")
        parent = next((each for each in engine.images.images() if each.id == image.parent), None)
        if not prune or parent is None:
            return removed
        image, force, quiet = parent, False, True


async def _remove_unreadable(engine: Engine, image_id: str, force: bool) -> list[Removed]:
    """Of an image whose config is damaged only the id is known, and by that alone it can go, with its names."""
    obstacle = _container_obstacle(_users(engine, image_id), force)
    if obstacle is not None:
        raise obstacle.conflict(image_id)
    removed = [Removed(deleted=id_, freed=size) for id_, size in await engine.images.delete(image_id)]
    engine.events.publish(Event("image", "delete", image_id, {"name": image_id}, engine.clock()))
    return removed


def _obstacle(engine: Engine, image: Image, force: bool, names_count: bool = True) -> _Obstacle | None:
    """What stands in the way of a deletion, in Docker's order. Force overcomes names and stopped containers."""
    if _children(engine, image):
        return _Obstacle("image has dependent child images", hard=True)
    used = _container_obstacle(_users(engine, image.id), force)
    if not force and not (used and used.hard) and names_count and _references(image):
        return _Obstacle("image is referenced in multiple repositories", hard=False)
    return used


def _container_obstacle(users: list[tuple[str, bool]], force: bool) -> _Obstacle | None:
    """The containers (id, whether it runs) that need the image; the running ones first."""
    for container_id, _ in (user for user in users if user[1]):
        return _Obstacle(f"image is being used by running container {container_id[:12]}", hard=True, used=True)
    for container_id, _ in users if not force else ():
        return _Obstacle(f"image is being used by stopped container {container_id[:12]}", hard=False, used=True)
    return None


def _references(image: Image) -> list[Reference]:
    return [Reference.parse(text) for text in (*image.tags, *image.digests)]


def _single(references: list[Reference]) -> bool:
    """Whether there is at most one tag, and all references are of its repository."""
    if len(references) <= 1:
        return True
    tags = [each for each in references if each.digest is None]
    repositories = {each.name for each in references if each.digest is not None}
    return len(tags) <= 1 and repositories == {(tags or references)[0].name}


def _children(engine: Engine, image: Image) -> list[Image]:
    return [each for each in engine.images.images() if each.parent == image.id]


def _users(engine: Engine, image_id: str) -> list[tuple[str, bool]]:
    return [
        (entry.container.id, entry.container.status.state in transitions.RUNNING)
        for entry in engine.containers
        if entry.container.image_id == image_id
    ]


async def _untag(engine: Engine, image: Image, reference: Reference, *, tell: bool = True) -> list[Removed]:
    """Take a name away from an image: one line when it means no other platform's image either, else none."""
    await engine.images.untag(reference, image.id)
    if any(reference.familiar in (*other.tags, *other.digests) for other in engine.images.images()):
        return []
    if tell:
        _publish(engine, image, "untag")
    return [Removed(untagged=reference.familiar)]


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def _publish(engine: Engine, image: Image, action: str) -> None:
    engine.events.publish(Event("image", action, image.id, {**image.config.labels, "name": image.id}, engine.clock()))

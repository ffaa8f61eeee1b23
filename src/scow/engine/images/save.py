"""Save: images and their names as one archive."""

from collections.abc import AsyncGenerator, Sequence

from scow.engine.context import Engine
from scow.engine.images.platforms import check_platform
from scow.errors import NotFound
from scow.model.event import Event
from scow.model.image import Image
from scow.oci.reference import InvalidReference, Reference


def save(engine: Engine, names: Sequence[str], platform: str = "") -> AsyncGenerator[bytes, None]:
    """Docker's selection: an id without names, a reference with itself, a bare repository with all its tags.

    NotFound and InvalidArgument are raised at once, damage of the store by the iterator.
    """
    selection: dict[str, tuple[Image, list[Reference]]] = {}
    for name in names:
        for image, reference in _named(engine, name):
            check_platform(image, name, platform)
            _, references = selection.setdefault(image.id, (image, []))
            if reference is not None and reference not in references:
                references.append(reference)
    pairs = [(image, tuple(sorted(references, key=str))) for image, references in selection.values()]
    for image, _ in pairs:
        engine.events.publish(
            Event("image", "save", image.id, {**image.config.labels, "name": image.id}, engine.clock())
        )
    return engine.images.save(pairs)


def _named(engine: Engine, name: str) -> list[tuple[Image, Reference | None]]:
    """What one argument means: images with the name under which each is saved (None: without one)."""
    try:
        reference = Reference.parse(name)
    except InvalidReference:  # 64 hex digits are an id and no name
        if len(name.removeprefix("sha256:")) != 64:
            raise
        return [(engine.images.resolve(name), None)]
    if reference.digest is not None:
        try:
            return [(engine.images.resolve(name), None)]
        except NotFound:
            raise NotFound("reference does not exist") from None
    if reference.tag is None:
        tagged = _all_tags(engine, reference)
        if tagged:
            return tagged
    try:
        image = engine.images.resolve(name)
    except NotFound:
        raise NotFound(f"No such image: {name}") from None  # here Docker adds no tag
    reference = reference.with_default_tag()
    return [(image, reference if reference.familiar in image.tags else None)]


def _all_tags(engine: Engine, repository: Reference) -> list[tuple[Image, Reference | None]]:
    found: list[tuple[Image, Reference | None]] = []
    for image in engine.images.images():
        for tag in image.tags:
            reference = Reference.parse(tag)
            if reference.name == repository.name:
                found.append((image, reference))
    return sorted(found, key=lambda pair: str(pair[1]))

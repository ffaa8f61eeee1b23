"""Save: images and their names as one archive."""

from collections.abc import AsyncGenerator, Sequence

from scow.engine.context import Engine
from scow.engine.images.platforms import choose
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
        for image, reference in _named(engine, name, platform):
            _, references = selection.setdefault(image.id, (image, []))
            if reference is not None and reference not in references:
                references.append(reference)
    pairs = [(image, tuple(sorted(references, key=str))) for image, references in selection.values()]
    for image, _ in pairs:
        engine.events.publish(
            Event("image", "save", image.id, {**image.config.labels, "name": image.id}, engine.clock())
        )
    return engine.images.save(pairs)


def _named(engine: Engine, name: str, platform: str) -> list[tuple[Image, Reference | None]]:
    """What one argument means: images with the name under which each is saved (None: without one)."""
    try:
        reference = Reference.parse(name)
    except InvalidReference:  # 64 hex digits are an id and no name
        if len(name.removeprefix("sha256:")) != 64:
            raise
        return [(choose(engine, name, platform), None)]
    if reference.digest is not None:
        try:
            engine.images.resolve(name)
        except NotFound:
            raise NotFound("reference does not exist") from None
        return [(choose(engine, name, platform), None)]
    if reference.tag is None:
        tagged = [(choose(engine, tag.familiar, platform), tag) for tag in _all_tags(engine, reference)]
        if tagged:
            return [*tagged]
    try:
        engine.images.resolve(name)
    except NotFound:
        raise NotFound(f"No such image: {name}") from None  # here Docker adds no tag
    image = choose(engine, name, platform)
    reference = reference.with_default_tag()
    return [(image, reference if reference.familiar in image.tags else None)]


def _all_tags(engine: Engine, repository: Reference) -> list[Reference]:
    tags = {Reference.parse(tag) for image in engine.images.images() for tag in image.tags}
    return sorted((tag for tag in tags if tag.name == repository.name), key=str)

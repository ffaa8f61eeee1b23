"""Prune: remove the images that nothing uses."""

from dataclasses import dataclass

from scow.engine.context import Engine
from scow.engine.images.filters import Filters, before_until, check_names, labelled, truth
from scow.engine.images.query import created_ns
from scow.engine.images.remove import Removed, remove
from scow.errors import ScowError
from scow.model.event import Event
from scow.model.image import Image

_FILTERS = frozenset({"dangling", "label", "label!", "until"})


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a prune did; `freed` is in bytes of layers and broken downloads that are gone."""

    removed: tuple[Removed, ...]
    freed: int


async def prune(engine: Engine, filters: Filters) -> Pruned:
    """Images without a tag; with dangling=false every image that no container uses. Docker's choice, name by name."""
    check_names(filters, _FILTERS)
    dangling = truth(filters, "dangling", True)
    until = before_until(engine, filters)
    images = engine.images.images()
    removed: list[Removed] = []
    for image in images:
        if not labelled(image, filters) or (until and created_ns(image) > until):
            continue
        for name in _names(engine, image, dangling):
            try:
                removed += await remove(engine, name)
            except ScowError:  # in use, or gone meanwhile
                continue
    freed = sum(item.freed for item in removed)
    if not until and not filters.keys() & {"label", "label!"}:
        freed += await engine.images.forget_downloads()
    engine.events.publish(Event("image", "prune", "", {"reclaimed": str(freed)}, engine.clock()))
    return Pruned(tuple(removed), freed)


def _names(engine: Engine, image: Image, dangling: bool) -> tuple[str, ...]:
    """The names by which an image is to be removed, its id when it has none, nothing when it stays."""
    names = (*image.tags, *image.digests)
    if names:
        return () if dangling and image.tags else names
    if any(each.parent == image.id for each in engine.images.images()):
        return ()
    return (image.id,)

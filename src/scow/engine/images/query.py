"""Look-ups of images."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scow.engine.context import Engine
from scow.engine.images.filters import Filters, before_until, check_names, labelled, path_pattern, truth
from scow.engine.images.platforms import choose
from scow.model.image import Image
from scow.oci.reference import Reference

_FILTERS = frozenset({"before", "dangling", "label", "reference", "since", "until"})


def get(engine: Engine, name: str, platform: str = "") -> Image:
    """By reference, id or id prefix. NotFound when there is none for `platform` ("": this host's, or what there is)."""
    return choose(engine, name, platform)


def containers_of(engine: Engine) -> dict[str, int]:
    """How many containers each image id has."""
    return dict(Counter(entry.container.image_id for entry in engine.containers))


def created_ns(image: Image) -> int:
    """The creation time of the image config as Unix nanoseconds, 0 if it has none."""
    try:
        return int(datetime.fromisoformat(_six_digits(image.created)).timestamp() * 1e9)
    except ValueError:
        return 0


def _six_digits(text: str) -> str:
    """RFC 3339 with nanoseconds, cut to what datetime reads."""
    body = text.replace("Z", "+00:00")
    head, dot, tail = body.partition(".")
    if not dot:
        return body
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6]:0<6}{tail[digits:]}"


def list_images(engine: Engine, all: bool = False, filters: Filters | None = None) -> list[Image]:
    """Newest first, each with those of its names that the reference filter lets through. Without `all` no intermediate
    ones: images without a name that others are made of.
    """
    wanted = dict(filters or {})
    check_names(wanted, _FILTERS)
    dangling = truth(wanted, "dangling", False)
    since = max((_age(engine.images.resolve(value)) for value in wanted.get("since", ())), default=None)
    before = [_age(engine.images.resolve(value)) for value in wanted.get("before", ())]
    before += [(until // 1_000_000_000, 0)] if (until := before_until(engine, wanted)) else []
    patterns = [path_pattern(value) for value in wanted.get("reference", ())]
    parents = {image.parent for image in engine.images.images()}
    found = []
    for image in sorted(filter(None, map(_shown, engine.images.images())), key=_age, reverse=True):
        age = _age(image)
        if (since is not None and age <= since) or any(age >= limit for limit in before):
            continue
        if not labelled(image, wanted):
            continue
        if patterns:
            image = _matching(image, patterns)
            if not image.tags and not image.digests:
                continue
        if not image.tags and not image.digests:
            if (not all and image.id in parents) or (wanted.get("dangling") and not dangling):
                continue
        if dangling and image.tags:
            continue
        found.append(image)
    return found


def _age(image: Image) -> tuple[int, int]:
    """By what images are older or newer: a build's result may have its base's time (in whole seconds), but got its name
    later.
    """
    return created_ns(image) // 1_000_000_000, image.tagged_at


def _shown(image: Image) -> Image | None:
    """The image with those names alone under which a list shows it: each name has one row. None when it has none left."""
    if not image.behind:
        return image
    tags, digests = (tuple(name for name in names if name not in image.behind) for names in (image.tags, image.digests))
    return replace(image, tags=tags, digests=digests) if tags or (digests and not image.tags) else None


def _matching(image: Image, patterns: Sequence[Callable[[str], bool]]) -> Image:
    """The image with the names that a pattern matches, with or without their tags and digests."""

    def matches(text: str) -> bool:
        familiar = Reference.parse(text).familiar_name
        return any(pattern(text) or pattern(familiar) for pattern in patterns)

    return replace(image, tags=tuple(filter(matches, image.tags)), digests=tuple(filter(matches, image.digests)))


def shared_sizes(engine: Engine) -> dict[str, int]:
    """How many bytes of each image lie in layers that other images have, too, as Docker counts: by chain id."""
    users = Counter(chain_id for image in engine.images.images() for chain_id in image.chain_ids)
    return {
        image.id: sum(
            size
            for chain_id, size in zip(image.chain_ids, engine.images.layer_sizes(image.id), strict=False)
            if users[chain_id] > 1
        )
        for image in engine.images.images()
    }


def layers_size(engine: Engine) -> int:
    """Bytes of all layers of all images, each layer once."""
    sizes: dict[str, int] = {}
    for image in engine.images.images():
        sizes.update(zip(image.chain_ids, engine.images.layer_sizes(image.id), strict=False))
    return sum(sizes.values())


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One line of history: id "<missing>" but for the newest; created in Unix seconds; size in bytes."""

    id: str
    created: int
    created_by: str
    tags: tuple[str, ...]
    size: int
    comment: str


def history(engine: Engine, name: str, platform: str = "") -> list[HistoryItem]:
    """Newest first. A line has an id as far as the images that the image was made of are here."""
    image = get(engine, name, platform)
    sizes = list(engine.images.layer_sizes(image.id))
    lines = [(entry, 0 if entry.empty_layer or not sizes else sizes.pop(0)) for entry in image.history]
    made_of: Image | None = image
    result = []
    for entry, size in reversed(lines):
        result.append(
            HistoryItem(
                made_of.id if made_of else "<missing>",
                _seconds(entry.created),
                entry.created_by,
                made_of.tags if made_of else (),
                size,
                entry.comment,
            )
        )
        parent = made_of.parent if made_of else ""
        made_of = next((each for each in engine.images.images() if each.id == parent), None)
    return result


def _seconds(created: str) -> int:
    try:
        return int(datetime.fromisoformat(_six_digits(created)).timestamp())
    except ValueError:
        return 0

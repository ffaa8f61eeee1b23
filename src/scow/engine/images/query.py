"""Look-ups of images."""

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from scow.engine.context import Engine
from scow.errors import InvalidArgument
from scow.model.image import Image

_FILTERS = frozenset({"before", "dangling", "label", "reference", "since", "until"})


def get(engine: Engine, name: str) -> Image:
    """By reference, id or id prefix."""
    return engine.images.resolve(name)


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


def list_images(engine: Engine, all: bool = False, filters: Mapping[str, Sequence[str]] | None = None) -> list[Image]:
    """Newest first."""
    wanted = dict(filters or {})
    for key in wanted:
        if key not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    images = sorted(engine.images.images(), key=created_ns, reverse=True)
    return [image for image in images if _allowed(engine, image, wanted)]


def _allowed(engine: Engine, image: Image, wanted: Mapping[str, Sequence[str]]) -> bool:
    for key, values in wanted.items():
        if not values:
            continue
        if key == "dangling":
            if any(value not in ("true", "false", "1", "0") for value in values):
                raise InvalidArgument(f"invalid filter 'dangling={list(values)}'")
            if (not image.tags) != (values[0] in ("true", "1")):
                return False
        elif key == "label":
            for wish in values:
                name, separator, value = wish.partition("=")
                if name not in image.config.labels or (separator and image.config.labels[name] != value):
                    return False
        elif key == "reference":
            if not any(_reference_matches(name, value) for name in (*image.tags, *image.digests) for value in values):
                return False
        elif key == "before":
            if any(created_ns(image) >= created_ns(engine.images.resolve(value)) for value in values):
                return False
        elif key == "since":
            if any(created_ns(image) <= created_ns(engine.images.resolve(value)) for value in values):
                return False
        elif key == "until":
            raise InvalidArgument("invalid filter 'until'")
    return True


def _reference_matches(name: str, pattern: str) -> bool:
    plain = name.partition("@")[0]
    repository = plain.rsplit(":", 1)[0] if ":" in plain.rsplit("/", 1)[-1] else plain
    return fnmatch.fnmatchcase(plain, pattern) or fnmatch.fnmatchcase(repository, pattern)


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One line of history: id "<missing>" but for the newest; created in Unix seconds; size in bytes."""

    id: str
    created: int
    created_by: str
    tags: tuple[str, ...]
    size: int
    comment: str


def history(engine: Engine, name: str) -> list[HistoryItem]:
    """Newest first."""
    image = engine.images.resolve(name)
    sizes = list(engine.images.layer_sizes(image.id))
    items = []
    for entry in image.history:
        size = 0 if entry.empty_layer or not sizes else sizes.pop(0)
        items.append((entry, size))
    result = []
    for index, (entry, size) in enumerate(reversed(items)):
        try:
            created = int(datetime.fromisoformat(_six_digits(entry.created)).timestamp())
        except ValueError:
            created = 0
        newest = index == 0
        result.append(
            HistoryItem(
                image.id if newest else "<missing>",
                created,
                entry.created_by,
                image.tags if newest else (),
                size,
                entry.comment,
            )
        )
    return result

"""The filters of image lists and prunes, with Docker's words for wrong ones."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from scow.engine.containers.query import moment
from scow.engine.context import Engine
from scow.errors import InvalidArgument
from scow.model.image import Image

_TRUE, _FALSE = ("true", "1"), ("false", "0")
T = TypeVar("T", bool, None)
Filters = Mapping[str, Sequence[str]]


def check_names(filters: Filters, allowed: frozenset[str]) -> None:
    """InvalidArgument for a filter that there is not."""
    for key in filters:
        if key not in allowed:
            raise InvalidArgument(f"invalid filter '{key}'")


def truth(filters: Filters, key: str, default: T) -> bool | T:
    """The one boolean that all values of a filter are."""
    values = filters.get(key) or ()
    if not values:
        return default
    if all(value in _TRUE for value in values):
        return True
    if all(value in _FALSE for value in values):
        return False
    raise InvalidArgument(f"invalid filter '{key}=[{' '.join(values)}]'")


def labelled(image: Image, filters: Filters) -> bool:
    """`label`: every wish is met; `label!`: none of them is."""
    labels = image.config.labels
    return all(_has(labels, wish) for wish in filters.get("label", ())) and not any(
        _has(labels, wish) for wish in filters.get("label!", ())
    )


def _has(labels: Mapping[str, str], wish: str) -> bool:
    name, separator, value = wish.partition("=")
    return name in labels and (not separator or labels[name] == value)


def before_until(engine: Engine, filters: Filters) -> int:
    """The moment of `until` in Unix nanoseconds, 0 when there is none."""
    values = filters.get("until") or ()
    if len(values) > 1:
        raise InvalidArgument("more than one until filter specified")
    if not values:
        return 0
    try:
        return moment(engine, values[0])
    except InvalidArgument:
        raise InvalidArgument(f'failed to parse value as time or duration: "{values[0]}"') from None


def path_pattern(pattern: str) -> Callable[[str], bool]:
    """Go's path.Match: `*` and `?` stop at slashes, [a-z] and [^a-z] are classes, a backslash takes the next as it is."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            text, position = _class(pattern, position)
            out.append(text)
        elif character == "\\":
            if position == len(pattern):
                raise InvalidArgument("syntax error in pattern")
            out.append(re.escape(pattern[position]))
            position += 1
        else:
            out.append(re.escape(character))
    matcher = re.compile("".join(out), re.DOTALL)
    return lambda name: matcher.fullmatch(name) is not None


def _class(pattern: str, position: int) -> tuple[str, int]:
    """A bracket expression from behind its bracket: (its regular expression, where it ends)."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while not ranges or pattern[position : position + 1] != "]":
        low, position = _one(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _one(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    inner = "".join(ranges)
    if not inner:  # only ranges that hold nothing
        return ("[^/]" if negated else "(?!)"), position + 1
    return (f"(?!/)[^{inner}]" if negated else f"[{inner}]"), position + 1


def _one(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position : position + 1]
    if character == "\\":
        position += 1
        character = pattern[position : position + 1]
    elif character in ("-", "]"):
        raise InvalidArgument("syntax error in pattern")
    if not character:
        raise InvalidArgument("syntax error in pattern")
    return character, position + 1

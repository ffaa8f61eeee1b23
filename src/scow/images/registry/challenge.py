"""WWW-Authenticate: RFC 9110 section 11.6.1. Linear, bounded; what cannot be read is no challenge."""

from collections.abc import Iterable
from dataclasses import dataclass, field

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LONGEST = 8192
_MOST = 16


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate: `scheme` in lower case (basic, bearer), `parameters` with names in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges in the values of all WWW-Authenticate headers of a response, in order."""
    found: list[Challenge] = []
    for header in headers:
        if len(header) <= _LONGEST:
            found.extend(_parse_one(header))
    return tuple(found[:_MOST])


def _parse_one(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while position < len(text) and len(found) < _MOST:
        position = _skip(text, position, " \t,")
        word, position = _token(text, position)
        if not word:
            break
        after = _skip(text, position, " \t")
        if after < len(text) and text[after] == "=" and found:
            value, position = _value(text, after + 1)
            found[-1].parameters.setdefault(word.lower(), value)
        else:
            found.append(Challenge(word.lower()))
            position = after
    return found


def _skip(text: str, position: int, what: str) -> int:
    while position < len(text) and text[position] in what:
        position += 1
    return position


def _token(text: str, position: int) -> tuple[str, int]:
    start = position
    while position < len(text) and text[position] in _TOKEN:
        position += 1
    return text[start:position], position


def _value(text: str, position: int) -> tuple[str, int]:
    """A token or a quoted string; an unclosed quote ends with the text."""
    position = _skip(text, position, " \t")
    if position >= len(text) or text[position] != '"':
        return _token(text, position)
    position += 1
    parts: list[str] = []
    while position < len(text) and text[position] != '"':
        if text[position] == "\\" and position + 1 < len(text):
            position += 1
        parts.append(text[position])
        position += 1
    return "".join(parts), position + 1

"""Subordinate ids: a bounded reader of /etc/subuid and /etc/subgid, and the id map of a user's ranges.

A line is `OWNER:FIRST:COUNT`, where the owner is a login name or a number (subuid(5)).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scow.errors import InvalidArgument

_MAX_ID = 2**32 - 2
_MAX_LINE = 1024
_MOST = 340
"""Lines of a map that the kernel takes (user_namespaces(7))."""


@dataclass(frozen=True, slots=True)
class Range:
    """`count` ids of the host from `first` on."""

    first: int
    count: int

    @property
    def end(self) -> int:
        return self.first + self.count


def ranges(text: bytes, owners: Iterable[str]) -> tuple[Range, ...]:
    """The ranges of the first of `owners` that has any, lowest first; lines that are none are left out, as everybody
    who reads these files does. InvalidArgument for ranges that overlap or are more than the kernel maps.
    """
    table = [fields for fields in map(_fields, text.split(b"\n")) if fields is not None]
    for owner in owners:
        name = owner.encode("utf-8", "surrogateescape")
        found = tuple(sorted((one for who, one in table if who == name), key=lambda one: one.first))
        if found:
            _check(owner, found)
            return found
    return ()


def _fields(line: bytes) -> tuple[bytes, Range] | None:
    parts = line.strip().split(b":")
    if len(line) > _MAX_LINE or len(parts) != 3 or not parts[0] or parts[0][:1] == b"#":
        return None
    if not all(part.isdigit() and len(part) <= 10 for part in parts[1:]):
        return None
    found = Range(int(parts[1]), int(parts[2]))
    return (parts[0], found) if found.count and found.end - 1 <= _MAX_ID else None


def _check(owner: str, found: Sequence[Range]) -> None:
    if len(found) > _MOST:
        raise InvalidArgument(f"{owner} has {len(found)} ranges of subordinate ids, the kernel maps {_MOST}")
    for one, other in zip(found, found[1:], strict=False):
        if one.end > other.first:
            raise InvalidArgument(f"ranges of subordinate ids of {owner} overlap at {other.first}")
    if found[0].first == 0:
        raise InvalidArgument(f"the subordinate ids of {owner} hold the host's root")


def mappings(found: Sequence[Range]) -> list[dict[str, int]]:
    """A spec's uidMappings or gidMappings: the ranges one after the other, from the container's root on."""
    result, inside = [], 0
    for one in found:
        result.append({"containerID": inside, "hostID": one.first, "size": one.count})
        inside += one.count
    return result

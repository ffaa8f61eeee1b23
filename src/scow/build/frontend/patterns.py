"""The patterns of ${name#pattern} and its kin: `*` any characters, `?` one, a backslash before either means itself.

Matching takes time in proportion to value times pattern, whatever the pattern: no backtracking.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from scow.errors import InvalidArgument

_WORK = 1 << 21


@dataclass(frozen=True, slots=True)
class Pattern:
    """Characters, None for one of any kind, "*" marked by being in `stars`. No wildcard stands for a line's end."""

    items: tuple[str | None, ...]
    stars: frozenset[int]

    def prefix(self, value: str, *, greedy: bool) -> int | None:
        """Where the shortest (the longest, when greedy) match at the start of the value ends; None for no match."""
        self._bound(value)
        found = None
        for end in self._ends(value):
            found = end
            if not greedy:
                break
        return found

    def reversed(self) -> "Pattern":
        last = len(self.items) - 1
        return Pattern(self.items[::-1], frozenset(last - star for star in self.stars))

    def replace(self, value: str, other: str, *, every: bool) -> str:
        """The value with the first match, or every match, replaced; matches are as long as they can be."""
        self._bound(value)
        out: list[str] = []
        at, copied, last, grown = 0, 0, -1, 0
        while at <= len(value):
            found = self._find(value, at)
            if found is None:
                break
            start, end = found
            out.append(value[copied:start])
            # nothing right behind a match is no match of its own
            if end > last or not start:
                out.append(other)
                grown += len(other)
                if grown > _WORK:
                    raise InvalidArgument("pattern and value are too long for a substitution")
            copied, last = end, end
            if not every:
                break
            if end > at:
                at = end
            else:
                at += 1
        return "".join([*out, value[copied:]])

    def _bound(self, value: str) -> None:
        if (len(value) + 1) * (len(self.items) + 1) > _WORK:
            raise InvalidArgument("pattern and value are too long for a substitution")

    def _closed(self, states: dict[int, int]) -> dict[int, int]:
        """With the states behind stars that may stand for nothing; each with the earliest start that leads to it."""
        for index in range(len(self.items)):
            if index in states and index in self.stars:
                states[index + 1] = min(states[index], states.get(index + 1, states[index]))
        return states

    def _step(self, states: dict[int, int], char: str) -> dict[int, int]:
        after: dict[int, int] = {}
        for index, start in states.items():
            if index == len(self.items):
                continue
            item = self.items[index]
            if index in self.stars:
                if char != "\n":
                    after[index] = min(start, after.get(index, start))
            elif (item is None and char != "\n") or item == char:
                after[index + 1] = min(start, after.get(index + 1, start))
        return after

    def _ends(self, value: str) -> Iterator[int]:
        states = self._closed({0: 0})
        for place, char in enumerate(value):
            if len(self.items) in states:
                yield place
            states = self._closed(self._step(states, char))
            if not states:
                return
        if len(self.items) in states:
            yield len(value)

    def _find(self, value: str, at: int) -> tuple[int, int] | None:
        """The match that begins first, at its longest, from `at` on."""
        states: dict[int, int] = {}
        best: tuple[int, int] | None = None
        for place in range(at, len(value) + 1):
            if best is None:
                states.setdefault(0, place)
            states = self._closed(states)
            start = states.get(len(self.items))
            if start is not None and (best is None or start <= best[0]):
                best = start, place
            if best is not None:
                limit = best[0]
                states = {index: start for index, start in states.items() if start <= limit}
                if not states:
                    break
            if place < len(value):
                states = self._step(states, value[place])
        return best


def read(text: str) -> Pattern:
    """InvalidArgument for a backslash before what needs none; that before } and / is the substitution's own."""
    items: list[str | None] = []
    stars: set[int] = set()
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            stars.add(len(items))
            items.append(None)
        elif char == "?":
            items.append(None)
        elif char != "\\":
            items.append(char)
        elif text[at : at + 1] not in ("}", "/"):
            after = text[at : at + 1]
            if after not in ("*", "?", "\\"):
                raise InvalidArgument(
                    f"invalid pattern ({text}) in substitution: invalid escape '\\{after or chr(0xFFFD)}'"
                )
            items.append(after)
            at += 1
    return Pattern(tuple(items), frozenset(stars))

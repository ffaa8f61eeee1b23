"""One pattern of a .dockerignore: what Docker takes for one, and the paths it holds for."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence

_META = frozenset("*?[\\")
_SIMPLE = 2  # so many wildcards may backtrack: still no more than the square of a path's length

# ------------------------------------------------------------ what is no pattern


def check(pattern: str) -> None:
    """ValueError for what Docker refuses at once: it matches the pattern with `.` by Go's filepath.Match, which looks at
    a part between stars only when it gets there.
    """
    name: str | None = "."
    for starred, part in _parts(pattern):
        if starred and not part:
            return
        rest = _match_part(part, name or "")
        if rest is None and starred and name:
            rest = _match_part(part, name[1:])
        if rest is None:
            return
        name = rest


def _parts(pattern: str) -> Iterator[tuple[bool, str]]:
    """The texts between stars, and whether a star stands before each."""
    at = 0
    while at < len(pattern):
        start = at
        while pattern.startswith("*", at):
            at += 1
        starred, begin, inside = at > start, at, False
        while at < len(pattern) and (inside or pattern[at] != "*"):
            if pattern[at] == "\\":
                at += 1
            elif pattern[at] in "[]":
                inside = pattern[at] == "["
            at += 1
        yield starred, pattern[begin:at]


def _match_part(part: str, name: str) -> str | None:
    """What of the name is left behind the part; None when it does not match, which ends no check of the syntax."""
    at, failed = 0, False
    while at < len(part):
        failed = failed or not name
        char = part[at]
        if char == "[":
            at, holds = _match_set(part, at + 1, name[:1])
        elif char == "?":
            at, holds = at + 1, name[:1] != "/"
        else:
            at += char == "\\"
            if at == len(part):
                raise ValueError(part)
            at, holds = at + 1, name[:1] == part[at]
        failed = failed or not holds
        name = name[1:]
    return None if failed else name


def _match_set(part: str, at: int, char: str) -> tuple[int, bool]:
    negated = part.startswith("^", at)
    at += negated
    found, members = False, 0
    while not (part.startswith("]", at) and members):
        low, at = _member(part, at)
        high = low
        if part.startswith("-", at):
            high, at = _member(part, at + 1)
        found = found or bool(char) and low <= char <= high
        members += 1
    return at + 1, found != negated


def _member(part: str, at: int) -> tuple[str, int]:
    if part[at : at + 1] in ("", "-", "]"):
        raise ValueError(part)
    at += part[at] == "\\"
    if at >= len(part) - 1:
        raise ValueError(part)
    return part[at], at + 1


# ------------------------------------------------------------ one pattern

# What a pattern is made of, with its regular expression: a wildcard, or a piece of text that may be part of a set.
_WILD = {"one": "[^/]", "star": "[^/]*", "deep": "(?:.*/)?", "rest": ".*"}
_Token = tuple[str, str]


def matcher(pattern: str) -> Callable[[str], bool]:
    """ValueError for a set without an end and for a range that runs backwards."""
    bare = pattern.removesuffix("\\")
    if not _META & set(bare):
        return pattern.__eq__
    if bare.startswith("**") and len(bare) > 2 and bare[2] != "/" and not _META & set(bare[2:]):
        # Docker compares the end alone here, so that **.md is no regular expression
        return lambda path: path.endswith(pattern[2:])
    tokens = _tokens(pattern)
    if sum(kind in _WILD and kind != "one" for kind, _ in tokens) <= _SIMPLE:
        compiled = _compiled("".join(text for _, text in tokens))
        return lambda path: compiled.fullmatch(path) is not None
    return _States(_with_sets(tokens)).holds


def _compiled(expression: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return re.compile(expression, re.ASCII)
        except (re.error, OverflowError):
            raise ValueError(expression) from None


def _tokens(pattern: str) -> list[_Token]:
    """`**` swallows a slash behind it and then stands for folders, or for nothing; at the end for everything.

    What Docker hands to Go's regular expressions as it is (sets, escapes, ^) means here what it means there.
    """
    tokens: list[_Token] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern.startswith("*", at):
            at += 1 + pattern.startswith("/", at + 1)
            kind = "deep" if at < len(pattern) else "rest"
            tokens.append((kind, _WILD[kind]))
        elif char == "*":
            tokens.append(("star", _WILD["star"]))
        elif char == "?":
            tokens.append(("one", _WILD["one"]))
        elif char == "\\":
            # one at the end takes the meaning of the end
            tokens.extend([("text", f"\\{pattern[at]}")] if at < len(pattern) else [("text", r"\$"), ("rest", ".*")])
            at += 1
        elif char in "[]^-":
            tokens.append(("text", char))
        else:
            tokens.append(("text", re.escape(char)))
    return tokens


def _with_sets(tokens: Sequence[_Token]) -> list[_Token]:
    """The texts of a set put together to one."""
    out: list[_Token] = []
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        at += 1
        if text == "[":
            negated = at < len(tokens) and tokens[at][1] == "^"
            first = at + negated
            end = next((place for place in range(first + 1, len(tokens)) if tokens[place][1] == "]"), 0)
            if not end:
                raise ValueError(text)
            text = "".join(part for _, part in tokens[at - 1 : end + 1])
            at = end + 1
        out.append((kind, text))
    return out


class _States:
    """Many wildcards: all the ways at once, in time proportional to path times pattern."""

    __slots__ = ("_items",)

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._items = [(kind, _compiled(text)) for kind, text in tokens]

    def holds(self, path: str) -> bool:
        states = self._closed({0})
        for char in path:
            states = self._closed(self._step(states, char))
            if not states:
                return False
        return len(self._items) in states

    def _closed(self, states: set[int]) -> set[int]:
        """With the places behind wildcards that may stand for nothing. -place: in folders that have begun."""
        for place, (kind, _) in enumerate(self._items):
            if place in states and kind in ("star", "deep", "rest"):
                states.add(place + 1)
        return states

    def _step(self, states: set[int], char: str) -> set[int]:
        after: set[int] = set()
        for state in states:
            place = state if state >= 0 else -state - 1
            if place == len(self._items):
                continue
            kind, expression = self._items[place]
            if kind == "deep":
                after.update((-place - 1, place + 1) if char == "/" else (-place - 1,))
            elif kind == "rest" or (kind == "star" and char != "/"):
                after.add(place)
            elif kind in ("text", "one") and expression.fullmatch(char) is not None:
                after.add(place + 1)
        return after

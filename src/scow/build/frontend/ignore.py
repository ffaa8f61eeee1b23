""".dockerignore: which files of a context are left out, as Docker's client leaves them out.

A pattern holds for a path and for everything below it; the last one that holds decides, `!` takes back. A folder that
is left out is not entered, unless a `!` pattern begins with its very name: `!**/keep` does not reopen a folder.
"""

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from scow.build.frontend import globs
from scow.errors import InvalidArgument

_CACHED = 1 << 16


class BadPattern(InvalidArgument):
    """A pattern that is none, with its line, 0 outside of a file."""

    def __init__(self, pattern: str, line: int = 0) -> None:
        super().__init__(f'syntax error in pattern "{pattern}"{f" on line {line}" if line else ""}')
        self.line = line


@dataclass(frozen=True, slots=True)
class _Rule:
    text: str
    back: bool
    holds: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """`held`: for each rule, whether it holds, as far as it was looked at. `shut`: nothing below can be kept."""

    held: tuple[bool, ...]
    excluded: bool
    shut: bool


class IgnoreRules:
    """Paths are relative to the context, with slashes, without `.` and `..`. The rules never change."""

    __slots__ = ("_folders", "_rules")

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._rules = tuple(rules)
        self._folders: dict[str, _Verdict] = {}

    @classmethod
    def parse(cls, text: str) -> "IgnoreRules":
        """Of a file's text. BadPattern names the line."""
        rules = []
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            pattern = "" if line.startswith("#") else _cleaned(line)
            if pattern:
                rules.append(_rule(pattern, number))
        return cls(rules)

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "IgnoreRules":
        """Of single patterns, as COPY --exclude gives them."""
        return cls([_rule(pattern, 0) for pattern in map(_cleaned, patterns) if pattern])

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excluded(self, path: str) -> bool:
        """Whether a build sees the path; what lies in a folder that is not entered is not seen."""
        return bool(self._rules) and self._verdict(path).excluded

    def may_hold(self, folder: str) -> bool:
        """Whether something below the folder may be seen, so that a walk must enter it."""
        return not self._rules or not self._verdict(folder).shut

    def _verdict(self, path: str) -> _Verdict:
        """The verdicts on the folders above are kept: a walk asks for all that lies in them."""
        above: _Verdict | None = None
        at = path.find("/")
        while at >= 0:
            folder = path[:at]
            found = self._folders.get(folder)
            if found is None:
                if len(self._folders) >= _CACHED:
                    self._folders.clear()
                found = self._folders[folder] = self._below(folder, above)
            if found.shut:
                return found
            above = found
            at = path.find("/", at + 1)
        return self._below(path, above)

    def _below(self, path: str, above: _Verdict | None) -> _Verdict:
        held = []
        excluded = False
        for index, rule in enumerate(self._rules):
            holds = above is not None and above.held[index]
            # Docker asks no rule that could change nothing, and does not ask it again for what lies below.
            if not holds and rule.back == excluded:
                holds = rule.holds(path)
            held.append(holds)
            if holds:
                excluded = not rule.back
        shut = excluded and not any(rule.back and f"{rule.text}/".startswith(f"{path}/") for rule in self._rules)
        return _Verdict(tuple(held), excluded, shut)


def _cleaned(line: str) -> str:
    """One line as a pattern relative to the context, "" for none."""
    pattern = line.strip()
    back = pattern.startswith("!")
    pattern = pattern[1:].strip() if back else pattern
    if pattern:
        pattern = posixpath.normpath(pattern)
        # normpath keeps two slashes in front, which POSIX gives a meaning
        pattern = pattern.lstrip("/") or "/" if pattern.startswith("/") else pattern
    # Docker strips again what lay between slashes
    return f"!{pattern}".rstrip() if back else pattern.strip()


def _rule(pattern: str, line: int) -> _Rule:
    back = pattern.startswith("!")
    text = pattern[1:] if back else pattern
    if not text or (back and text == "/"):
        raise InvalidArgument('illegal exclusion pattern: "!"')
    try:
        globs.check(text)
    except ValueError:
        raise BadPattern(pattern, line) from None
    try:
        return _Rule(text, back, globs.matcher(text))
    except ValueError:
        if not back:
            raise BadPattern(pattern, line) from None
        return _Rule(text, back, partial(_never, pattern, line))


def _never(pattern: str, line: int, path: str) -> bool:
    """Docker finds such a ! out only when it takes something back: contexts without a use for it are built."""
    raise BadPattern(pattern, line)

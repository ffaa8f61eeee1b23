"""A Dockerfile's text to directives and logical lines: continuations joined, comments gone, documents collected."""

import re
from dataclasses import dataclass

from scow.build.frontend import heredocs, words
from scow.build.frontend.commands import Heredoc
from scow.build.frontend.errors import UNREADABLE, DockerfileError
from scow.errors import InvalidArgument

_DIRECTIVE = re.compile(r"#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=(.+)")
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
_BLANK = " \t\v\f\r\n"
_DOCUMENTED = frozenset({"RUN", "COPY", "ADD"})


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction: where it begins, its text in one piece, its documents.

    `comments` stand directly above it. `gap` is the number of the first empty line inside it, 0 for none.
    """

    number: int
    text: str
    comments: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    gap: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """`broken` is what ends the lines too early: Docker tells of it only when nothing is wrong with those before."""

    directives: tuple[tuple[str, str], ...]
    escape: str
    lines: tuple[Line, ...]
    broken: DockerfileError | None = None


def read(text: str, name: str) -> Source:
    """DockerfileError for a bad directive; a document without an end leaves it in `broken`."""
    return _Reader(text, name).read()


class _Reader:
    """A place in a text, line by line."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._rows = text.removeprefix("\ufeff").split("\n")
        self._at = 0

    def read(self) -> Source:
        directives = self._directives()
        escape = dict(directives).get("escape", "\\")
        mark = re.escape(escape)
        continued = re.compile(rf"(?:[^{mark}]|^)({mark}[ \t]*)$")
        lines: list[Line] = []
        comments: list[str] = []
        while self._at < len(self._rows):
            row = self._rows[self._at].rstrip("\r").lstrip(_BLANK)
            if row.startswith("#"):
                comments.append(row[1:].strip())
                self._at += 1
            elif not row:
                comments = []
                self._at += 1
            else:
                try:
                    lines.append(self._line(continued, escape, tuple(comments)))
                except DockerfileError as error:
                    return Source(directives, escape, tuple(lines), error)
                comments = []
        return Source(directives, escape, tuple(lines))

    def _directives(self) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        for number, row in enumerate(self._rows, 1):
            match = _DIRECTIVE.fullmatch(row.rstrip("\r"))
            key = match[1].lower() if match else ""
            if match is None or key not in _DIRECTIVES:
                break
            value = match[2].strip(" \t") or match[2][-1]
            if key in found:
                raise self._error(f"only one {key} parser directive can be used", number, match[1])
            if key == "escape" and value not in ("\\", "`"):
                raise self._error(f"invalid escape token '{value}' does not match ` or \\", number, value)
            found[key] = value
        return tuple(found.items())

    def _line(self, continued: re.Pattern[str], escape: str, comments: tuple[str, ...]) -> Line:
        first, gap = self._at + 1, 0
        parts: list[str] = []
        while self._at < len(self._rows):
            row = self._rows[self._at].rstrip("\r")
            self._at += 1
            bare = row.lstrip(_BLANK)
            if parts and bare.startswith("#"):
                continue
            if parts and not bare:
                if self._at < len(self._rows):
                    gap = gap or self._at
                continue
            row = row if parts else bare
            more = continued.search(row)
            parts.append(row[: more.start(1)] if more else row)
            if more is None:
                break
        text = "".join(parts)
        return Line(first, text, comments, self._documents(text, escape), gap)

    def _documents(self, text: str, escape: str) -> tuple[Heredoc, ...]:
        if "<<" not in text or not _documented(text):
            return ()
        found = []
        for start in heredocs.starts(text, escape):
            content: list[str] = []
            while True:
                if self._at >= len(self._rows):
                    raise self._error("unterminated heredoc", self._at, start.name)
                row = self._rows[self._at]
                self._at += 1
                if (row.rstrip("\r").lstrip("\t") if start.chomp else row.rstrip("\r")) == start.name:
                    break
                content.append(row + "\n")
            found.append(Heredoc(start.name, "".join(content), start.expand, start.chomp))
        return tuple(found)

    def _error(self, message: str, line: int, word: str) -> DockerfileError:
        return DockerfileError(message, prefix=UNREADABLE, file=self._name, line=line, word=word, source=self._text)


def _documented(text: str) -> bool:
    """Whether the instruction may have documents: RUN, COPY and ADD, themselves or as a trigger, not in exec form."""
    word, rest = words.head(text)
    if word.upper() == "ONBUILD":
        word, rest = words.head(words.flags(rest)[1])
    if word.upper() not in _DOCUMENTED:
        return False
    try:
        return words.exec_form(words.flags(rest)[1]) is None
    except InvalidArgument:
        return False

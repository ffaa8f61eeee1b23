"""Variables: $NAME and every ${} form of Dockerfiles, quotes and escapes taken off on the way.

    ${n}  ${n-w}  ${n:-w}  ${n+w}  ${n:+w}  ${n?w}  ${n:?w}  ${n#p}  ${n##p}  ${n%p}  ${n%%p}  ${n/p/w}  ${n//p/w}

A lookup gives a variable's value, None for one that is not set.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from scow.build.frontend import commands, heredocs, mounts, patterns, words
from scow.build.frontend.commands import EXPANDED, Command, Heredoc
from scow.errors import InvalidArgument

Lookup = Callable[[str], str | None]
Kind = TypeVar("Kind", bound=Command)

_DEPTH = 50
_LONGEST = 1 << 20
_NO_CHARACTER = "\ufffd"
_SPECIAL = "@*#?-$!0"


def expand(text: str, lookup: Lookup, escape: str = "\\") -> str:
    """The text as one word. InvalidArgument in Docker's words, with the text that could not be read."""
    return "".join(piece for piece, _ in _read(text, lookup, escape))


def expand_words(text: str, lookup: Lookup, escape: str = "\\") -> tuple[str, ...]:
    """The text as words: white space that comes out of an unquoted variable parts them too."""
    found: list[str] = []
    word = ""
    for piece, whole in _read(text, lookup, escape):
        if whole or not piece.isspace():
            word += piece
        elif word:
            found.append(word)
            word = ""
    return (*found, word) if word else tuple(found)


def bare_names(text: str, escape: str = "\\") -> tuple[str, ...]:
    """The variables whose values a text takes without asking whether they are set, each once; none of a broken text."""
    reader = _Reader(text, lambda name: name, escape)
    try:
        reader.read("", raw=False)
    except InvalidArgument:
        return ()
    return tuple(reader.bare)


def expanded(command: Kind, lookup: Lookup, escape: str = "\\") -> Kind:
    """The command with its variables replaced, as `commands.EXPANDED` says, in its mounts and documents as well."""
    changes: dict[str, Any] = {}
    for name in EXPANDED.get(type(command), ()):
        value = getattr(command, name)
        if isinstance(command, commands.Expose):
            changes[name] = tuple(word for part in value for word in expand_words(part, lookup, escape))
        else:
            changes[name] = _value(value, lookup, escape)
    if isinstance(command, commands.Run):
        changes["mounts"] = tuple(
            mounts.read(mount.written, lambda text: expand(text, lookup, escape)) for mount in command.mounts
        )
    if isinstance(command, commands.Transfer):
        changes["heredocs"] = tuple(_document(each, lookup, escape) for each in command.heredocs)
    return replace(command, **changes) if changes else command


def _value(value: Any, lookup: Lookup, escape: str) -> Any:
    """A string, or tuples of such, None as it is."""
    if isinstance(value, str):
        return expand(value, lookup, escape)
    if isinstance(value, tuple):
        return tuple(_value(item, lookup, escape) for item in value)
    return value


def _document(document: Heredoc, lookup: Lookup, escape: str) -> Heredoc:
    content = heredocs.chomped(document.content) if document.chomp else document.content
    if document.expand:
        reader = _Reader(content, lookup, escape, quotes=False)
        content = "".join(piece for piece, _ in reader.read("", raw=False))
    return replace(document, content=content, expand=False, chomp=False)


_Pieces = list[tuple[str, bool]]


def _read(text: str, lookup: Lookup, escape: str) -> _Pieces:
    try:
        pieces = _Reader(text, lookup, escape).read("", raw=False)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to process {words.quoted(text)}: {error.message}") from None
    if sum(len(piece) for piece, _ in pieces) > _LONGEST:
        raise InvalidArgument(f"failed to process {words.quoted(text[:64])}: the value is longer than {_LONGEST} bytes")
    return pieces


class _Reader:
    """A place in a text that is expanded. Pieces are (text, whether white space in it is kept)."""

    def __init__(self, text: str, lookup: Lookup, escape: str, *, quotes: bool = True) -> None:
        self._text = text
        self._lookup = lookup
        self._escape = escape
        self._quotes = quotes
        self.bare: dict[str, None] = {}
        self._at = 0
        self._depth = 0
        self._grown = 0

    def read(self, stop: str, *, raw: bool) -> _Pieces:
        """Up to a `stop` that is neither quoted nor escaped, and past it; to the end when it is "". `raw` keeps escapes."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise InvalidArgument("variables are nested too deeply")
        out: _Pieces = []
        while self._at < len(self._text):
            char = self._next()
            if char == stop:
                self._depth -= 1
                return out
            if self._quotes and char == "'":
                out.append((self._single(), True))
            elif self._quotes and char == '"':
                out.append((self._double(raw), True))
            elif char == "$":
                out.extend((each, False) for each in self._dollar())
            elif char == self._escape:
                out.append(((char if raw else "") + self._next(), True))
            else:
                out.append((char, False))
        if stop:
            raise InvalidArgument(f"unexpected end of statement while looking for matching {stop}")
        return out

    def _joined(self, stop: str, missing: str, *, raw: bool) -> str:
        try:
            return "".join(piece for piece, _ in self.read(stop, raw=raw))
        except InvalidArgument:
            if self._at >= len(self._text):
                raise InvalidArgument(f"syntax error: missing {missing}") from None
            raise

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            self._at = len(self._text)
            raise InvalidArgument("unexpected end of statement while looking for matching single-quote")
        text, self._at = self._text[self._at : end], end + 1
        return text

    def _double(self, raw: bool) -> str:
        out: list[str] = []
        while self._at < len(self._text):
            char = self._next()
            if char == '"':
                return "".join(out)
            if char == "$":
                out.append(self._dollar())
            elif char == self._escape:
                out.append(char if raw else "")
                after = self._peek()
                out.append(self._next() if after in ('"', "$", self._escape) else char if after else "")
            else:
                out.append(char)
        raise InvalidArgument("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        if self._peek() == "{":
            self._at += 1
            return self._braces()
        name = self._name()
        return self._bare(name) if name else "$"

    def _bare(self, name: str) -> str:
        self.bare[name] = None
        return self._counted(self._lookup(name) or "")

    def _counted(self, text: str) -> str:
        """What a variable gives. The bound holds before it is built, not when all is there."""
        self._grown += len(text)
        if self._grown > _LONGEST:
            raise InvalidArgument(f"the value is longer than {_LONGEST} bytes")
        return text

    def _name(self) -> str:
        start = self._at
        first = self._peek()
        if first.isdecimal():
            while self._peek().isdecimal():
                self._at += 1
        elif first and first in _SPECIAL:
            self._at += 1
        else:
            while (char := self._peek()).isalpha() or char.isdecimal() or char == "_":
                self._at += 1
        return self._text[start : self._at]

    def _braces(self) -> str:
        first = self._peek()
        if not first:
            raise InvalidArgument("syntax error: missing '}'")
        if first in "{}:":
            raise InvalidArgument("syntax error: bad substitution")
        name = self._name()
        mark = self._next()
        if mark == "}":
            return self._bare(name)
        if mark == "/":
            return self._replaced(name)
        shown, empty_is_unset = mark, mark == ":"
        if empty_is_unset:
            mark = self._next()
            shown += mark
        if not empty_is_unset and (not mark or mark not in "+-?#%"):
            raise InvalidArgument(f"unsupported modifier ({shown or _NO_CHARACTER}) in substitution")
        word = self._joined("}", "'}'", raw=mark in ("#", "%"))
        if mark not in "+-?#%":
            raise InvalidArgument(f"unsupported modifier ({shown}) in substitution")
        if mark in "#%":
            return _trimmed(self._bare(name), mark, word)
        value = self._lookup(name)
        self._counted(value or "")
        return _chosen(name, value, mark, word, empty_is_unset)

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        if every:
            self._at += 1
        pattern = self._joined("/", "'/' in ${}", raw=True)
        other = self._joined("}", "'}'", raw=True)
        return self._counted(patterns.read(pattern).replace(self._bare(name), other, every=every))


def _chosen(name: str, value: str | None, mark: str, word: str, empty_is_unset: bool) -> str:
    given = bool(value) if empty_is_unset else value is not None
    if mark == "-":
        return value or "" if given else word
    if mark == "+":
        return word if given else ""
    if not given:
        state = "unset" if value is None else "empty"
        raise InvalidArgument(f"{name}: {word or f'is not allowed to be {state}'}")
    return value or ""


def _trimmed(value: str, mark: str, word: str) -> str:
    greedy = word.startswith(mark)
    pattern = patterns.read(word[1:] if greedy else word)
    if mark == "#":
        end = pattern.prefix(value, greedy=greedy)
        return value if end is None else value[end:]
    end = pattern.reversed().prefix(value[::-1], greedy=greedy)
    return value if end is None else value[: len(value) - end]

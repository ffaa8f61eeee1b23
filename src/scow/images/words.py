"""Words of Dockerfile instructions: splitting, quotes, and the replacement of variables. Text in, text out."""

import json
from collections.abc import Mapping

from scow.errors import InvalidArgument

_SPACE = " \t\v\f\r\n"
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DEPTH = 20


def split(text: str) -> list[str]:
    """Words parted by white space, with their quotes and backslashes still in them."""
    words: list[str] = []
    word, quote, escaped, inside = "", "", False, False
    for char in text:
        if escaped:
            word, escaped = word + char, False
        elif char == "\\" and quote != "'":
            word, escaped, inside = word + char, True, True
        elif quote:
            word += char
            if char == quote:
                quote = ""
        elif char in _SPACE:
            if inside:
                words.append(word)
            word, inside = "", False
        else:
            inside = True
            word += char
            if char in "'\"":
                quote = char
    if inside:
        words.append(word)
    return words


def json_list(text: str) -> list[str] | None:
    """The strings of a JSON list (the exec form), None when the text is anything else."""
    text = text.strip()
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return None


def expand(text: str, env: Mapping[str, str]) -> str:
    """The text with quotes taken off and $NAME, ${NAME}, ${NAME:-word}, ${NAME:+word} and ${NAME:?word} replaced."""
    reader = _Reader(text, env, 0)
    result = reader.read("")
    return result


class _Reader:
    """A position in a text that is expanded."""

    def __init__(self, text: str, env: Mapping[str, str], depth: int) -> None:
        if depth > _DEPTH:
            raise InvalidArgument("variables are nested too deeply")
        self._text = text
        self._env = env
        self._depth = depth
        self._at = 0

    def read(self, stop: str) -> str:
        """Up to an unquoted `stop` character, which is consumed; to the end when it is ""."""
        out: list[str] = []
        while self._at < len(self._text):
            char = self._next()
            if char == stop:
                return "".join(out)
            if char == "'":
                out.append(self._single())
            elif char == '"':
                out.append(self._double())
            elif char == "$":
                out.append(self._dollar())
            elif char == "\\":
                if self._at < len(self._text):
                    out.append(self._next())
            else:
                out.append(char)
        if stop:
            raise InvalidArgument(f"syntax error: missing '{stop}'")
        return "".join(out)

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise InvalidArgument("unexpected end of statement while looking for matching single-quote")
        text, self._at = self._text[self._at : end], end + 1
        return text

    def _double(self) -> str:
        out: list[str] = []
        while self._at < len(self._text):
            char = self._next()
            if char == '"':
                return "".join(out)
            if char == "$":
                out.append(self._dollar())
            elif char == "\\" and self._at < len(self._text) and self._text[self._at] in '"$\\':
                out.append(self._next())
            else:
                out.append(char)
        raise InvalidArgument("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        if self._at < len(self._text) and self._text[self._at] == "{":
            self._at += 1
            return self._braces()
        name = self._name()
        return self._env.get(name, "") if name else "$"

    def _name(self) -> str:
        start = self._at
        if self._at < len(self._text) and self._text[self._at].isdigit():
            self._at += 1
            return self._text[start : self._at]
        while self._at < len(self._text) and self._text[self._at] in _NAME:
            self._at += 1
        return self._text[start : self._at]

    def _braces(self) -> str:
        name = self._name()
        if not name or self._at >= len(self._text):
            raise InvalidArgument("syntax error: bad substitution")
        char = self._next()
        if char == "}":
            return self._env.get(name, "")
        empty_counts = char == ":"
        if empty_counts:
            if self._at >= len(self._text):
                raise InvalidArgument("syntax error: missing ':' in substitution")
            char = self._next()
        inner = _Reader(self._text[self._at :], self._env, self._depth + 1)
        word = inner.read("}")
        self._at += inner._at
        value = self._env.get(name)
        given = bool(value) if empty_counts else value is not None
        if char == "-":
            return value or "" if given else word
        if char == "+":
            return word if given else ""
        if char == "?":
            if not given:
                raise InvalidArgument(f"{name}: {word or 'not allowed to be unset'}")
            return value or ""
        raise InvalidArgument(f"unsupported modifier ({char}) in substitution")

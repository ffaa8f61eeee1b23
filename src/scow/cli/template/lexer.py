"""Template text to tokens (the rules of Go's text/template/parse)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KEYWORDS = frozenset("block break continue define else end if nil range template with".split())
_SPACE = " \t\r\n"
_SIGNS = "+-"


class TemplateError(Exception):
    """The template cannot be parsed or evaluated; the text is Go's."""


class Token:
    """`kind` is one of text, left, right, space, pipe, comma, lparen, rparen, declare, assign, char, string, raw, number,
    bool, dot, field, variable, identifier, keyword, eof. `at` is the character offset."""

    __slots__ = ("at", "kind", "line", "text")

    def __init__(self, kind: str, text: str, at: int, line: int) -> None:
        self.kind = kind
        self.text = text
        self.at = at
        self.line = line

    def __repr__(self) -> str:
        return f"{self.kind}:{self.text!r}"


def fail(line: int, message: str) -> TemplateError:
    """A parse error with its line."""
    return TemplateError(f"template: :{line}: {message}")


def lex(source: str) -> Iterator[Token]:
    """The tokens of a template, `eof` last. Raises TemplateError."""
    at, line = 0, 1
    trim = False
    while True:
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        trimmed = text.lstrip(_SPACE) if trim else text
        begin = at + len(text) - len(trimmed)
        if start >= 0 and source[start + 2 : start + 3] == "-" and source[start + 3 : start + 4] in tuple(_SPACE):
            trimmed = trimmed.rstrip(_SPACE)
        if trimmed:
            yield Token("text", trimmed, begin, line + source.count("\n", at, begin))
        if start < 0:
            yield Token("eof", "", len(source), line + source.count("\n", at))
            return
        line += source.count("\n", at, start)
        inside = _Action(source, start, line)
        if inside.comment:
            at, trim = inside.skip_comment()
            line += source.count("\n", start, at)
            continue
        yield Token("left", "{{", start, line)
        yield from inside.tokens()
        at, line, trim = inside.at, inside.line, inside.trim


class _Action:
    """The tokens between `{{` and `}}`."""

    def __init__(self, source: str, start: int, line: int) -> None:
        self.source = source
        self.start = start
        self.line = line
        self.trim = False
        self.at = start + 2
        if source[self.at : self.at + 1] == "-" and source[self.at + 1 : self.at + 2] in tuple(_SPACE):
            self.at += 2
            self.line += source[self.at - 1] == "\n"
        self.comment = source.startswith("/*", self.at)

    def skip_comment(self) -> tuple[int, bool]:
        end = self.source.find("*/", self.at + 2)
        if end < 0:
            raise fail(self.line, "unclosed comment")
        end += 2
        if self.source.startswith("}}", end):
            return end + 2, False
        if self.source[end : end + 1] in tuple(_SPACE) and self.source.startswith("-}}", end + 1):
            return end + 4, True
        raise fail(self.line, "comment ends before closing delimiter")

    def tokens(self) -> Iterator[Token]:
        source, depth = self.source, 0
        while True:
            at, line = self.at, self.line
            char = source[at : at + 1]
            if source.startswith("}}", at) or (char in tuple(_SPACE) and source.startswith("-}}", at + 1)):
                if depth:
                    raise fail(line, "unclosed left paren")
                self.trim = char != "}"
                self.at += 4 if self.trim else 2
                self.line += char == "\n"
                yield Token("right", "}}", at, line)
                return
            if not char:
                raise fail(line, "unclosed action")
            token = self._next(char)
            if token.kind == "lparen":
                depth += 1
            elif token.kind == "rparen":
                depth -= 1
                if depth < 0:
                    raise fail(line, "unexpected right paren")
            yield token

    def _next(self, char: str) -> Token:
        source, at = self.source, self.at
        if char in _SPACE:
            end = at
            while source[end : end + 1] in tuple(_SPACE) and not source.startswith("-}}", end + 1):
                end += 1
            return self._take("space", end)
        if char == "=":
            return self._take("assign", at + 1)
        if source.startswith(":=", at):
            return self._take("declare", at + 2)
        if char in "|,()":
            return self._take({"|": "pipe", ",": "comma", "(": "lparen", ")": "rparen"}[char], at + 1)
        if char == '"':
            return self._quoted('"', "string", "unterminated quoted string")
        if char == "'":
            return self._quoted("'", "char", "unterminated character constant")
        if char == "`":
            end = source.find("`", at + 1)
            if end < 0:
                raise fail(self.line, "unterminated raw quoted string")
            return self._take("raw", end + 1)
        if char == "$":
            return self._name(at + 1, "variable")
        follows = source[at + 1 : at + 2]
        if char == "." and not ("0" <= follows <= "9"):
            end = _word_end(source, at + 1)
            if end == at + 1:
                self._check_end(end)
                return self._take("dot", end)
            return self._name(at + 1, "field")
        if char in _SIGNS or char in ".0123456789":
            return self._number()
        if char.isalnum() or char == "_":
            return self._identifier()
        if " " < char < "\x7f":
            return self._take("other", at + 1)
        raise fail(self.line, f"unrecognized character in action: U+{ord(char):04X} {char!r}")

    def _take(self, kind: str, end: int) -> Token:
        text = self.source[self.at : end]
        token = Token(kind, text, self.at, self.line)
        self.at = end
        self.line += text.count("\n")
        return token

    def _quoted(self, quote: str, kind: str, message: str) -> Token:
        at = self.at + 1
        while True:
            char = self.source[at : at + 1]
            if char == "\\" and self.source[at + 1 : at + 2] not in ("", "\n"):
                at += 2
            elif char in ("", "\n"):
                raise fail(self.line, message)
            elif char == quote:
                return self._take(kind, at + 1)
            else:
                at += 1

    def _check_end(self, end: int) -> None:
        """What follows a word must be able to end it."""
        char = self.source[end : end + 1]
        if char and char not in _SPACE + ".,|:=()" and not self.source.startswith("}}", end):
            raise fail(self.line, f"bad character U+{ord(char):04X} {char!r}")

    def _name(self, start: int, kind: str) -> Token:
        end = _word_end(self.source, start)
        self._check_end(end)
        return self._take(kind, end)

    def _identifier(self) -> Token:
        end = _word_end(self.source, self.at)
        word = self.source[self.at : end]
        self._check_end(end)
        if word in KEYWORDS:
            return self._take("keyword", end)
        return self._take("bool" if word in ("true", "false") else "identifier", end)

    def _number(self) -> Token:
        source, end = self.source, self.at
        if source[end] in _SIGNS:
            end += 1
        while True:
            char = source[end : end + 1]
            if char and (char.isalnum() or char in "._"):
                end += 1
            elif (
                char
                and char in _SIGNS
                and source[end - 1] in "eEpP"
                and not source[self.at : end].lower().startswith("0x")
            ):
                end += 1
            else:
                break
        text = source[self.at : end]
        if parse_number(text) is None:
            raise fail(self.line, f'bad number syntax: "{text}"')
        return self._take("number", end)


def _word_end(source: str, at: int) -> int:
    while at < len(source) and (source[at].isalnum() or source[at] == "_"):
        at += 1
    return at


def parse_number(text: str) -> int | float | None:
    """A Go number: decimal, 0x, 0o, 0b, leading zero, underscores, floats. None when it is none."""
    digits = text.lstrip("+-")
    sign = -1 if text[:1] == "-" else 1
    if len(text) - len(digits) > 1 or not digits or not digits.isascii() or digits.endswith("_"):
        return None
    try:
        if len(digits) > 1 and digits[0] == "0" and digits.replace("_", "").isdigit():
            return sign * int(digits, 8)
        return sign * int(digits, 0)
    except ValueError:
        pass
    if not set(digits) <= frozenset("0123456789._eE+-"):
        return None
    try:
        value = sign * float(digits)
    except ValueError:
        return None
    return value

"""Words of instructions: splitting, the flags in front, the exec form. Text in, text out; quotes are kept."""

import json
import re

from scow.errors import InvalidArgument

_SPACE = re.compile(r"[\t\v\f\r ]+")


def _constant(name: str) -> object:
    raise ValueError(name)


_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
}  # fmt: skip
_DECODER = json.JSONDecoder(parse_constant=_constant)


def parted(text: str) -> list[str]:
    """Words between white space, quotes have no meaning."""
    return [word for word in _SPACE.split(text) if word]


def head(text: str) -> tuple[str, str]:
    """The first word, and what follows it without the white space around."""
    first, *rest = _SPACE.split(text.strip(), maxsplit=1)
    return first, rest[0].strip() if rest else ""


def split(text: str, escape: str = "\\") -> list[str]:
    """Words between white space that is neither quoted nor escaped; quotes and escapes stay in them."""
    words: list[str] = []
    word: list[str] = []
    quote, escaped = "", False
    for place, char in enumerate(text):
        if escaped:
            word.append(char)
            escaped = False
        elif char == escape and quote != "'":
            if place + 1 < len(text):
                word.append(char)
                escaped = True
        elif quote:
            word.append(char)
            if char == quote:
                quote = ""
        elif char.isspace():
            if word:
                words.append("".join(word))
            word = []
        else:
            word.append(char)
            if char in "'\"":
                quote = char
    if word:
        words.append("".join(word))
    return words


def flags(text: str) -> tuple[tuple[str, ...], str]:
    """The words in front that begin with --, and the rest. Quotes are taken off the flags; a word `--` ends them."""
    found: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if not text.startswith("--", at):
            return tuple(found), text[at:].strip()
        word, at = _flag(text, at)
        if word == "--":
            return tuple(found), text[at:].strip()
        found.append(word)


def _flag(text: str, at: int) -> tuple[str, int]:
    out: list[str] = []
    quote = ""
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\":
            if at < len(text):
                out.append(text[at])
                at += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                out.append(char)
        elif char.isspace():
            break
        elif char in "'\"":
            quote = char
        else:
            out.append(char)
    return "".join(out), at


def exec_form(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON list; None when it is none. What follows the list is ignored, as Docker ignores it."""
    text = text.strip()
    if not text.startswith("["):
        return None
    try:
        value, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidArgument("when using JSON array syntax, arrays must be comprised of strings only")
    # half a surrogate pair is no character
    return tuple(item.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for item in value)


def quoted(text: str) -> str:
    """Go's %q."""
    return '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else _coded(char)) for char in text) + '"'


def _coded(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""A logical line to the words of its instruction, by the instruction's own grammar; nothing is judged yet."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from scow.build.frontend import words
from scow.build.frontend.commands import Heredoc
from scow.build.frontend.errors import Wrong
from scow.build.frontend.lexer import Line

_ONBUILD = re.compile(r"(?i)\s*ONBUILD\s*")


@dataclass(frozen=True, slots=True)
class Node:
    """`word` is as it was written. `pairs` are those of ENV and LABEL, `words` are everything else's.

    `exec_form`: the words come from a JSON list. `legacy`: ENV and LABEL with a blank in place of the equals sign.
    """

    number: int
    text: str
    word: str
    flags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    exec_form: bool = False
    legacy: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    escape: str = "\\"


_Parts = tuple[tuple[str, ...], bool]


def read(line: Line, escape: str) -> Node:
    """InvalidArgument for words that fit no grammar."""
    word, rest = words.head(line.text)
    flags, rest = words.flags(rest)
    text = line.text.strip()
    upper = word.upper()
    if upper in ("ENV", "LABEL"):
        pairs, legacy = _pairs(upper, rest, escape)
        return Node(line.number, text, word, flags, pairs=pairs, legacy=legacy, escape=escape)
    if upper == "ONBUILD":
        if rest and words.head(rest)[0].upper() != "ONBUILD":  # a chain is refused, however long it is
            read(Line(line.number, rest), escape)
        found: _Parts = ((_ONBUILD.sub("", text, count=1),) if rest else ()), False
    elif upper == "ARG":
        found = tuple(words.split(rest, escape)), False
    else:
        found = _GRAMMARS.get(upper, _whole)(rest)
    return Node(line.number, text, word, flags, found[0], exec_form=found[1], heredocs=line.heredocs, escape=escape)


def _pairs(word: str, rest: str, escape: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    """NAME=value …, or the older NAME value."""
    parts = words.split(rest, escape)
    if not parts:
        return (), False
    if "=" not in parts[0]:
        name, value = words.head(rest)
        if not value:
            raise Wrong(f"{word} must have two arguments", name)
        return ((name, value),), True
    for part in parts:
        if "=" not in part:
            raise Wrong(f"Syntax error - can't find = in {words.quoted(part)}. Must be of the form: name=value", part)
    return tuple((name, value) for name, _, value in (part.partition("=") for part in parts)), False


def _whole(rest: str) -> _Parts:
    return (rest,) if rest else (), False


def _list(rest: str) -> _Parts:
    return tuple(words.parted(rest)), False


def _exec_or_whole(rest: str) -> _Parts:
    given = words.exec_form(rest)
    return _whole(rest) if given is None else (given, True)


def _exec_or_list(rest: str) -> _Parts:
    given = words.exec_form(rest)
    return _list(rest) if given is None else (given, True)


def _health(rest: str) -> _Parts:
    """The kind of the check, then the command in either form."""
    if not rest:
        return (), False
    kind, command = words.head(rest)
    found, exec_form = _exec_or_whole(command)
    return (kind, *found), exec_form


_GRAMMARS: dict[str, Callable[[str], _Parts]] = {
    "ADD": _exec_or_list,
    "CMD": _exec_or_whole,
    "COPY": _exec_or_list,
    "ENTRYPOINT": _exec_or_whole,
    "EXPOSE": _list,
    "FROM": _list,
    "HEALTHCHECK": _health,
    "RUN": _exec_or_whole,
    "SHELL": _exec_or_whole,
    "VOLUME": _exec_or_list,
}

"""Documents in a Dockerfile (<<WORD): where they start in a line, and what a shell makes of them."""

import re
from dataclasses import dataclass

from scow.build.frontend.commands import Run

_START = re.compile(r"(\d*)<<(-?)([^<]+)")


@dataclass(frozen=True, slots=True)
class Start:
    name: str
    expand: bool
    chomp: bool


def start(word: str, escape: str = "\\") -> Start | None:
    """The document that a word of a line begins, None when it begins none."""
    match = _START.fullmatch(word)
    if match is None:
        return None
    name, quoted = _unquoted(match[3], escape)
    return Start(name, not quoted, bool(match[2])) if name else None


def starts(text: str, escape: str = "\\") -> list[Start]:
    return [found for word in _words(text, escape) if (found := start(word, escape)) is not None]


def chomped(content: str) -> str:
    """Without the tabs in front of the lines (<<-)."""
    return re.sub(r"(?m)^\t+", "", content)


def script(run: Run) -> tuple[str, bool]:
    """What RUN with documents executes: its text, and whether it is a program (#! first) rather than the shell's.

    A RUN that is nothing but one document runs the document; any other gets its documents behind it, for the shell to
    read.
    """
    line = run.command[0] if run.command else ""
    if len(run.heredocs) == 1 and start(line.strip()) is not None:
        only = run.heredocs[0]
        content = chomped(only.content) if only.chomp else only.content
        return content, content.startswith("#!")
    return "\n".join([line, *(f"{each.content}{each.name}" for each in run.heredocs)]) if run.heredocs else line, False


def _unquoted(text: str, escape: str) -> tuple[str, bool]:
    """The word without its quotes and escapes, and whether it had any. "" when it is not one whole word."""
    out: list[str] = []
    quote, quoted, at = "", False, 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == escape and quote != "'":
            quoted = True
            out.append(text[at : at + 1])
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote, quoted = char, True
        elif not quote and char.isspace():
            return "", False
        else:
            out.append(char)
    return ("", False) if quote else ("".join(out), quoted)


def _words(text: str, escape: str) -> list[str]:
    """Words of a line for which a shell would look for documents; none when a quote or a ${ is never closed."""
    found: list[str] = []
    word: list[str] = []
    quote, escaped, opened = "", False, 0
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == escape and quote != "'":
            escaped = True
        elif quote != "'" and text.startswith("${", place):
            opened += 1
        elif opened and quote != "'" and char == "}":
            opened -= 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            found.append("".join(word))
            word = []
            continue
        word.append(char)
    return [] if quote or opened else [*found, "".join(word)]

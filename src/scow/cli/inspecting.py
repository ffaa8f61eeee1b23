"""What all `inspect` commands share: raw JSON re-indented, or a template on each object."""

from __future__ import annotations

from scow.cli.command import Exit
from scow.cli.output import put
from scow.cli.template.evaluate import evaluate
from scow.cli.template.functions import FUNCTIONS
from scow.cli.template.lexer import TemplateError
from scow.cli.template.parser import parse
from scow.cli.template.values import Number, Raw
from scow.cli.typed import pointer_to
from scow.client import jsontext
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scow.cli.template.parser import Template

FORMAT_HELP = "Format output: 'json', or a Go template"


def inspect(names: Sequence[str], layout: str, fetch: Callable[[str], tuple[str, bytes]]) -> int:
    """Prints every object that `fetch(name)` gives as (type, JSON text), then the errors. Raises Exit(1) for those."""
    template = None
    if layout and layout != "json":
        try:
            template = parse(layout, FUNCTIONS)
        except TemplateError as error:
            raise Exit(64, f"template parsing error: {error}") from None
    found: list[str] = []
    errors: list[str] = []
    for name in names:
        try:
            kind, raw = fetch(name)
            text = raw.decode("utf-8", "replace")
            found.append(text if template is None else _rendered(template, kind, text))
        except (ScowError, TemplateError) as error:
            errors.append(str(error) if isinstance(error, ScowError) else f"template parsing error: {error}")
    if template is not None:
        put("".join(text + "\n" for text in found) or "\n")
    elif layout == "json":
        put("[" + ",".join(text.strip() for text in found) + "]\n")
    else:
        put(indent("[" + ",".join(found) + "]") + "\n")
    if errors:
        raise Exit(1, "\n".join(errors))
    return 0


_decode = jsontext.decoder(Number, Raw)


def _rendered(template: Template, kind: str, text: str) -> str:
    """The template on the typed object, and on the raw one when that fails: Docker's order."""
    data = _decode(text)
    try:
        return evaluate(template, pointer_to(kind, data))
    except TemplateError:
        return evaluate(template, data)


def indent(text: str) -> str:
    """JSON with four blanks a level, strings and numbers untouched (Go's json.Indent)."""
    out: list[str] = []
    at, depth = 0, 0
    fresh = False  # just behind an opening bracket
    while at < len(text):
        char = text[at]
        if char in " \t\r\n":
            at += 1
            continue
        if fresh and char not in "]}":
            out.append("\n" + "    " * depth)
        if char in "]}":
            depth -= 1
            if not fresh:
                out.append("\n" + "    " * depth)
        fresh = char in "[{"
        if fresh:
            depth += 1
        if char == '"':
            end = _string_end(text, at)
            out.append(text[at:end])
            at = end
            continue
        if char == ",":
            out.append(",\n" + "    " * depth)
        elif char == ":":
            out.append(": ")
        else:
            out.append(char)
        at += 1
    return "".join(out)


def _string_end(text: str, at: int) -> int:
    at += 1
    while True:
        end = text.find('"', at)
        if end < 0:
            return len(text)
        slashes = 0
        while text[end - 1 - slashes] == "\\":
            slashes += 1
        at = end + 1
        if slashes % 2 == 0:
            return at

"""Plain JSON answers as template values, for `info -f` and `version -f`."""

from __future__ import annotations

from scow.cli.command import Exit
from scow.cli.template.evaluate import evaluate
from scow.cli.template.functions import FUNCTIONS
from scow.cli.template.lexer import TemplateError
from scow.cli.template.parser import parse
from scow.cli.template.values import Map, Slice, Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Record(Struct):
    """A JSON object as a Go struct: an unknown field is an error."""

    def __init__(self, name: str, data: Mapping[str, object]) -> None:
        self.name = name
        self._data = data

    def field(self, name: str) -> object:
        if name not in self._data:
            raise KeyError(name)
        return natural(self._data[name])

    def values(self) -> list[object]:
        return [natural(value) for value in self._data.values()]

    def members(self) -> list[tuple[str, object]]:
        return [(key, natural(value)) for key, value in self._data.items()]


def natural(value: object) -> object:
    """A JSON value with Go-like types: objects are maps, lists of strings are []string."""
    if isinstance(value, dict):
        if value and all(isinstance(item, str) for item in value.values()):
            return Map(dict(value), "")
        return (
            Record("struct", value)
            if any(key[:1].isupper() for key in value)
            else Map({key: natural(item) for key, item in value.items()})
        )
    if isinstance(value, list):
        strings = all(isinstance(item, str) for item in value)
        return Slice([natural(item) for item in value], "string" if strings else "interface {}")
    return value


def render(layout: str, data: Record, name: str = "") -> str:
    """A `--format` value on a record, with `json` short for `{{json .}}`. Raises Exit with Go's sentence."""
    source = "{{json .}}" if layout == "json" else layout
    try:
        return evaluate(parse(source, FUNCTIONS), data)
    except TemplateError as error:
        text = str(error).replace("template: :", f"template: {name}:", 1)
        raise Exit(1, text.replace('executing ""', f'executing "{name}"', 1)) from None

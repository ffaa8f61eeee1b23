"""Lists of objects: tables with Docker's columns, JSON lines, and `--format` templates on rows."""

from __future__ import annotations

from scow.cli.table import Columns
from scow.cli.template.values import NO_VALUE, Method, Struct
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scow.cli.template.parser import Template

    Fields = Mapping[str, Callable[[], object]]

FORMAT_HELP = "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"


class Row(Struct):
    """One object with its fields, computed when they are asked for. `labels` serve the method `.Label`."""

    def __init__(self, name: str, fields: Fields, labels: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._fields = fields
        self._labels = labels

    def field(self, name: str) -> object:
        if name == "Label" and self._labels is not None:
            labels = self._labels
            return Method("Label", 1, lambda key: labels.get(key, ""))
        return self._fields[name]()

    def text(self, name: str) -> str:
        """A field as text."""
        return str(self._fields[name]())

    def values(self) -> list[object]:
        return [read() for read in self._fields.values()]

    def members(self) -> list[tuple[str, object]]:
        return [(name, self._fields[name]()) for name in sorted(self._fields)]


class _Header(Struct):
    """The row of column titles."""

    name = "formatter.SubHeaderContext"

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def field(self, name: str) -> object:
        if name == "Label":
            return Method("Label", 1, lambda key: key.rpartition(".")[2].replace("-", " ").replace("_", " "))
        return self._headers.get(name, NO_VALUE)

    def members(self) -> list[tuple[str, object]]:
        return []


class Listing:
    """How rows of one kind are shown. `columns` are the fields of the default table, `headers` all titles."""

    def __init__(
        self, columns: Sequence[str], headers: Mapping[str, str], complaint: str = "template parsing error"
    ) -> None:
        self._columns = columns
        self._headers = headers
        self._complaint = complaint

    def render(self, rows: Sequence[Row], layout: str) -> str:
        """The output for a `--format` value (empty: the default table). Raises Exit with Docker's sentence."""
        if layout in ("", "table"):
            table = Columns()
            table.add([self._headers[name] for name in self._columns])
            for row in rows:
                table.add([row.text(name) for name in self._columns])
            return table.render()
        if layout == "json":
            return "".join(json_line(row) + "\n" for row in rows)
        is_table = layout.startswith("table")
        source = unescape((layout[5:] if is_table else layout).strip(" "))
        template = self._parse(source)
        if not is_table:
            return "".join(self._evaluate(template, row) + "\n" for row in rows)
        lines = [self._evaluate(template, row) for row in rows]
        table = Columns()
        for line in (self._evaluate(template, _Header(self._headers)), *lines):
            table.add([line])
        return table.render()

    def _parse(self, source: str) -> Template:
        from scow.cli.command import Exit
        from scow.cli.template.functions import FUNCTIONS
        from scow.cli.template.lexer import TemplateError
        from scow.cli.template.parser import parse

        try:
            return parse(source, FUNCTIONS)
        except TemplateError as error:
            raise Exit(1, f"{self._complaint.replace('execute', 'parse')}: {error}") from None

    def _evaluate(self, template: Template, row: Struct) -> str:
        from scow.cli.command import Exit
        from scow.cli.template.evaluate import evaluate
        from scow.cli.template.lexer import TemplateError

        try:
            return evaluate(template, row)
        except TemplateError as error:
            raise Exit(1, f"{self._complaint}: {error}") from None


def unescape(layout: str) -> str:
    r"""The two escapes that a shell leaves alone: \t and \n."""
    return layout.replace("\\t", "\t").replace("\\n", "\n")


def json_line(row: Row) -> str:
    """A row as one line of JSON, HTML characters escaped as Go does."""
    return html_safe(jsontext.encode(dict(row.members())).decode("ascii"))


def html_safe(text: str) -> str:
    """Escapes what Go's encoder escapes, and writes other text as UTF-8."""
    from scow.cli.template.functions import readable

    return readable(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def filters_param(items: Sequence[str]) -> list[tuple[str, str]]:
    """The `filters` query of `--filter` options."""
    chosen: dict[str, dict[str, bool]] = {}
    for item in items:
        name, _, value = item.partition("=")
        if name:
            chosen.setdefault(name, {})[value] = True
    return [("filters", jsontext.encode(chosen).decode("ascii"))] if chosen else []

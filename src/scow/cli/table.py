"""Columns of text as Go's tabwriter aligns them."""

from __future__ import annotations

from scow.cli.units import columns_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Columns:
    """Rows of cells. Every cell but a row's last is padded to its column's width plus `padding`, at least `least`.

    A column is a run of neighbouring rows that have a cell there; a shorter row ends it, as in Go.
    """

    def __init__(self, least: int = 10, padding: int = 3) -> None:
        self._least = least
        self._padding = padding
        self._rows: list[list[str]] = []

    def add(self, cells: Sequence[str]) -> None:
        """Adds a row; a line break inside the last cell starts a row of its own."""
        for text in "\t".join(cells).split("\n"):
            self._rows.append(text.split("\t"))

    def render(self) -> str:
        """The aligned text, each row ended by a line break."""
        widths: list[list[int]] = [[0] * len(row) for row in self._rows]
        self._measure(widths, 0, len(self._rows), 0)
        out = []
        for row, width in zip(self._rows, widths, strict=True):
            padded = [cell + " " * (wide - columns_of(cell)) for cell, wide in zip(row[:-1], width, strict=False)]
            out.append("".join(padded) + row[-1] + "\n")
        return "".join(out)

    def _measure(self, widths: list[list[int]], start: int, end: int, column: int) -> None:
        at = start
        while at < end:
            if column >= len(self._rows[at]) - 1:
                at += 1
                continue
            stop = at
            wide, empty = self._least, True
            while stop < end and column < len(self._rows[stop]) - 1:
                cell = columns_of(self._rows[stop][column])
                wide = max(wide, cell + self._padding)
                empty = empty and not cell
                stop += 1
            for index in range(at, stop):
                widths[index][column] = wide
            self._measure(widths, at, stop, column + 1)
            at = stop

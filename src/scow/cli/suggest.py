"""What somebody may have meant who mistyped a command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FEW = 3


def suggestion(typed: str, names: Iterable[str]) -> str:
    """Lines to append to an error, empty when nothing is like it."""
    allowed = 1 if len(typed) < 4 else 2
    near = [(distance(typed, name), name) for name in set(names)]
    found = [name for far, name in sorted(near) if far <= allowed][:_FEW]
    if not found:
        return ""
    return "\n\nDid you mean this?\n" + "\n".join(f"\t{name}" for name in found)


def distance(one: str, other: str) -> int:
    """How many letters are missing, added, changed, or exchanged with their neighbour."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        above, row = rows[-1], [i]
        for j, wanted in enumerate(other, 1):
            best = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]

"""A markdown table of medians and ratios from rows of samples."""

from bench.rows import Row

COLUMNS = ("scow", "docker CLI on scow", "Docker", "podman")


def table(rows: list[Row]) -> str:
    head = ["work", *COLUMNS, "scow vs Docker", "docker CLI on scow vs Docker", "scow vs podman", "goal"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    notes = []
    for row in rows:
        cells = [row.title, *(_value(row, column) for column in COLUMNS)]
        cells += [_ratio(row, a, b) for a, b in ((0, 2), (1, 2), (0, 3))]
        lines.append("| " + " | ".join([*cells, row.goal]) + " |")
        notes += [f"* {row.title}, {column}: {note}" for column, note in row.notes.items()]
    return "\n".join([*lines, *([""] + notes if notes else [])])


def _value(row: Row, column: str) -> str:
    median = row.median(column)
    if median is None:
        return "—"
    return f"{median:.0f} {row.unit}" if median >= 100 else f"{median:.3g} {row.unit}"


def _ratio(row: Row, ours: int, theirs: int) -> str:
    """How many times better; for memory the share that we need."""
    a, b = row.median(COLUMNS[ours]), row.median(COLUMNS[theirs])
    if not a or not b:
        return "—"
    if row.unit == "MB":
        return f"{a / b:.2f}× the memory"
    return f"{(a / b) if row.better == 'more' else (b / a):.1f}×"

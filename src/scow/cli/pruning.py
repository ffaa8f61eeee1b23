"""What the prune commands share: the question before, the report behind."""

from __future__ import annotations

import sys

from scow.cli.command import Exit
from scow.cli.listing import filters_param
from scow.cli.output import line, put
from scow.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags


def prune(
    session: Session,
    flags: Flags,
    path: str,
    warning: str,
    title: str,
    key: str,
    show: Callable[[Any], str] = str,
) -> int:
    """Asks unless --force, removes, and prints the names and the space that was won. `show` words one entry."""
    filters = flags.items("filter")
    if session.config is not None:
        filters += [str(item) for item in session.config.data.get("pruneFilters") or ()]
    if not flags.on("force"):
        put(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
        answer = sys.stdin.readline() if sys.stdin else ""
        if answer.strip().lower() != "y":
            raise Exit(0 if answer else 1)
    report = session.client.post(path, filters_param(filters)) or {}
    deleted = report.get(key) or []
    if deleted:
        put(title + "\n" + "".join(f"{show(name)}\n" for name in deleted) + "\n")
    line(f"Total reclaimed space: {human_size(report.get('SpaceReclaimed') or 0, 4)}")
    return 0

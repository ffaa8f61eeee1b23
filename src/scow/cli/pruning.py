"""What the prune commands share: the question before, the report behind."""

from __future__ import annotations

import sys

from scow.cli.command import Exit
from scow.cli.listing import filters_param
from scow.cli.output import line, put
from scow.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    wanted = filters(session, flags)
    confirm(flags, f"{warning}\n")
    line(f"Total reclaimed space: {human_size(remove(session, path, wanted, title, key, show), 4)}")
    return 0


def filters(session: Session, flags: Flags) -> list[str]:
    """Those of the command line and of config.json."""
    given = [str(item) for item in flags.items("filter")]
    if session.config is not None:
        given += [str(item) for item in session.config.data.get("pruneFilters") or ()]
    return given


def confirm(flags: Flags, warning: str) -> None:
    """Asks unless --force. Raises Exit for every answer but yes."""
    if flags.on("force"):
        return
    put(f"WARNING! {warning}Are you sure you want to continue? [y/N] ")
    answer = sys.stdin.readline() if sys.stdin else ""
    if answer.strip().lower() != "y":
        raise Exit(0 if answer else 1)


def remove(
    session: Session,
    path: str,
    wanted: Sequence[str],
    title: str,
    key: str,
    show: Callable[[Any], str] = str,
    params: Sequence[tuple[str, str]] = (),
) -> int:
    """Removes one kind of object and prints the names; the bytes that were won."""
    report = session.client.post(path, [*filters_param(wanted), *params]) or {}
    deleted = report.get(key) or []
    if deleted:
        put(title + "\n" + "".join(f"{show(name)}\n" for name in deleted) + "\n")
    return int(report.get("SpaceReclaimed") or 0)

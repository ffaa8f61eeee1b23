"""`scow network prune`: removes networks that no container is on."""

from __future__ import annotations

import sys

from scow.cli.command import Command, Exit
from scow.cli.listing import filters_param
from scow.cli.output import put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("filter", "", "list", "", "Remove only networks that match a condition"),
    ("force", "f", "bool", "", "Do not ask"),
)


def _prune(session: Session, flags: Flags, args: list[str]) -> int:
    filters = flags.items("filter")
    if session.config is not None:
        filters += [str(item) for item in session.config.data.get("pruneFilters") or ()]
    if not flags.on("force"):
        put(
            "WARNING! This will remove all custom networks not used by at least one container.\n"
            "Are you sure you want to continue? [y/N] "
        )
        answer = sys.stdin.readline() if sys.stdin else ""
        if answer.strip().lower() != "y":
            raise Exit(0 if answer else 1)
    report = session.client.post("/networks/prune", filters_param(filters)) or {}
    deleted = report.get("NetworksDeleted") or []
    if deleted:
        put("Deleted Networks:\n" + "".join(f"{name}\n" for name in deleted) + "\n")
    return 0


COMMAND = Command(_prune, "[OPTIONS]", "Remove all unused networks", "", _OPTIONS, 0, 0)

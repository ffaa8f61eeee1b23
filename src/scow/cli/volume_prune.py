"""`scow volume prune`: removes volumes that no container uses."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.pruning import prune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all", "a", "bool", "", "Remove all unused volumes, not only anonymous ones"),
    ("filter", "", "list", "", "Remove only volumes that match a condition"),
    ("force", "f", "bool", "", "Do not ask"),
)


def _prune(session: Session, flags: Flags, args: list[str]) -> int:
    what = "all" if flags.on("all") else "anonymous"
    if flags.on("all"):
        flags.store("filter", ["all=1"])
    warning = f"This will remove {what} local volumes not used by at least one container."
    return prune(session, flags, "/volumes/prune", warning, "Deleted Volumes:", "VolumesDeleted")


COMMAND = Command(_prune, "[OPTIONS]", "Remove unused local volumes", "", _OPTIONS, 0, 0)

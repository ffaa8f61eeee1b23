"""`scow container prune`: removes stopped containers."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.pruning import prune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("filter", "", "list", "", "Remove only containers that match a condition"),
    ("force", "f", "bool", "", "Do not ask"),
)


def _prune(session: Session, flags: Flags, args: list[str]) -> int:
    warning = "This will remove all stopped containers."
    return prune(session, flags, "/containers/prune", warning, "Deleted Containers:", "ContainersDeleted")


COMMAND = Command(_prune, "[OPTIONS]", "Remove all stopped containers", "", _OPTIONS, 0, 0)

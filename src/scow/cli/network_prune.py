"""`scow network prune`: removes networks that no container is on."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.pruning import confirm, filters, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("filter", "", "list", "", "Remove only networks that match a condition"),
    ("force", "f", "bool", "", "Do not ask"),
)


def _prune(session: Session, flags: Flags, args: list[str]) -> int:
    wanted = filters(session, flags)
    confirm(flags, "This will remove all custom networks not used by at least one container.\n")
    remove(session, "/networks/prune", wanted, "Deleted Networks:", "NetworksDeleted")
    return 0


COMMAND = Command(_prune, "[OPTIONS]", "Remove all unused networks", "", _OPTIONS, 0, 0)

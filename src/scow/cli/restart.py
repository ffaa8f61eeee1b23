"""`scow restart`: a grace period, then SIGKILL, then a start."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each
from scow.cli.stop import OPTIONS, parameters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _restart(session: Session, flags: Flags, args: list[str]) -> int:
    return for_each(session.client, args, "POST", lambda name: f"/containers/{name}/restart", parameters(flags))


COMMAND = Command(
    _restart,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    "container restart, restart",
    OPTIONS,
    1,
    UNLIMITED,
)

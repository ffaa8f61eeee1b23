"""`scow pause`: all processes of containers stand still."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _pause(session: Session, _: Flags, args: list[str]) -> int:
    return for_each(session.client, args, "POST", lambda name: f"/containers/{name}/pause")


COMMAND = Command(
    _pause,
    "CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    "container pause, pause",
    (),
    1,
    UNLIMITED,
)

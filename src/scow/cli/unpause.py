"""`scow unpause`: paused processes run again."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _unpause(session: Session, _: Flags, args: list[str]) -> int:
    return for_each(session.client, args, "POST", lambda name: f"/containers/{name}/unpause")


COMMAND = Command(
    _unpause,
    "CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    "container unpause, unpause",
    (),
    1,
    UNLIMITED,
)

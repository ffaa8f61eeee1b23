"""`scow kill`: a signal to containers."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _kill(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("signal", flags.text("signal"))] if flags.changed("signal") else []
    return for_each(session.client, args, "POST", lambda name: f"/containers/{name}/kill", params)


COMMAND = Command(
    _kill,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    "container kill, kill",
    (("signal", "s", "string", "", "Signal to send to the container"),),
    1,
    UNLIMITED,
)

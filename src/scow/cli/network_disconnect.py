"""`scow network disconnect`: disconnects a container from a network."""

from __future__ import annotations

from scow.cli.command import Command
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("force", "f", "bool", "", "Disconnect a container that is not known any more, too"),)


def _disconnect(session: Session, flags: Flags, args: list[str]) -> int:
    request = {"Container": args[1], "Force": flags.on("force")}
    session.client.call("POST", f"/networks/{quote(args[0], '/:@')}/disconnect", (), request).read()
    return 0


COMMAND = Command(
    _disconnect, "[OPTIONS] NETWORK CONTAINER", "Disconnect a container from a network", "", _OPTIONS, 2, 2
)

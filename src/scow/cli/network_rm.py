"""`scow network rm`: removes networks."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option
    from scow.errors import ScowError

_OPTIONS: tuple[Option, ...] = (("force", "f", "bool", "", "Do not complain about networks that do not exist"),)


def _rm(session: Session, flags: Flags, args: list[str]) -> int:
    def tolerate(error: ScowError) -> bool:
        return flags.on("force") and getattr(error, "status", 0) == 404

    return for_each(session.client, args, "DELETE", lambda name: f"/networks/{name}", (), tolerate)


COMMAND = Command(
    _rm,
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    "network rm, network remove",
    _OPTIONS,
    1,
    UNLIMITED,
)

"""`scow volume rm`: removes volumes."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("force", "f", "bool", "", "Do not complain about volumes that do not exist"),)


def _rm(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("force", "1")] if flags.on("force") else []
    return for_each(session.client, args, "DELETE", lambda name: f"/volumes/{name}", params)


COMMAND = Command(
    _rm,
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    "volume rm, volume remove",
    _OPTIONS,
    1,
    UNLIMITED,
)

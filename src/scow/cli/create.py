"""`scow create`: a container that is not started."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.container_options import OPTIONS
from scow.cli.creating import build, create
from scow.cli.output import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _create(session: Session, flags: Flags, args: list[str]) -> int:
    line(create(session, flags, build(session, flags, args, (0, 0))))
    return 0


COMMAND = Command(
    _create,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    "container create, create",
    OPTIONS,
    1,
    UNLIMITED,
    interspersed=False,
)

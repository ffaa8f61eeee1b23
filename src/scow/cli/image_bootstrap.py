"""`scow image bootstrap`: starter images made of the distribution's own signed packages, with no hub."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.pulling import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("quiet", "q", "bool", "", "Show no progress"),)


def _bootstrap(session: Session, flags: Flags, args: list[str]) -> int:
    client = session.client
    # Not one of Docker's routes: it lies outside the versions that those are served under.
    params = [("name", name) for name in args]
    show(client.call("POST", "/scow/images/bootstrap", params), None if flags.on("quiet") else 1)
    return 0


COMMAND = Command(
    _bootstrap,
    "[OPTIONS] [busybox|debian|nginx...]",
    "Build the starter images from the distribution's packages",
    "image bootstrap",
    _OPTIONS,
    0,
    UNLIMITED,
)

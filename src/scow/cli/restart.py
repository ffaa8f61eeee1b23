"""`scow restart`: a grace period, then SIGKILL, then a start."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("signal", "s", "string", "", "Signal to send to the container"),
    ("time", "", "=timeout", "", ""),
    ("timeout", "t", "int", "", "Seconds to wait before the container is killed"),
)


def _restart(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("signal", flags.text("signal"))] if flags.changed("signal") else []
    if flags.changed("timeout"):
        params.append(("t", str(flags.number("timeout"))))
    return for_each(session.client, args, "POST", lambda name: f"/containers/{name}/restart", params)


COMMAND = Command(
    _restart,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    "container restart, restart",
    _OPTIONS,
    1,
    UNLIMITED,
)

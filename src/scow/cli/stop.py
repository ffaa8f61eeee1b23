"""`scow stop`: a grace period, then SIGKILL."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.each import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

OPTIONS: tuple[Option, ...] = (
    ("signal", "s", "string", "", "Signal to send to the container"),
    ("time", "", "=timeout", "", ""),
    ("timeout", "t", "int", "", "Seconds to wait before the container is killed"),
)


def parameters(flags: Flags) -> list[tuple[str, str]]:
    """The query of a stop or a restart."""
    params = [("signal", flags.text("signal"))] if flags.changed("signal") else []
    if flags.changed("timeout"):
        params.append(("t", str(flags.number("timeout"))))
    return params


def _stop(session: Session, flags: Flags, args: list[str]) -> int:
    return for_each(session.client, args, "POST", lambda name: f"/containers/{name}/stop", parameters(flags))


COMMAND = Command(
    _stop,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    "container stop, stop",
    OPTIONS,
    1,
    UNLIMITED,
)

"""`scow rm`: removes containers."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.each import for_each
from scow.cli.output import warn
from scow.client.api import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option
    from scow.errors import ScowError

_OPTIONS: tuple[Option, ...] = (
    ("force", "f", "bool", "", "Kill a running container first (SIGKILL)"),
    ("link", "l", "bool", "", "Remove the link of this name"),
    ("volumes", "v", "bool", "", "Remove the container's anonymous volumes too"),
)


def _rm(session: Session, flags: Flags, args: list[str]) -> int:
    params = [
        (key, "1") for key, option in (("force", "force"), ("link", "link"), ("v", "volumes")) if flags.on(option)
    ]
    names = [name.strip("/") for name in args]
    if not all(names):
        raise Exit(1, "container name cannot be empty")

    def gone_already(error: ScowError) -> bool:
        if not flags.on("force") or not isinstance(error, ApiError) or error.status != 404:
            return False
        warn(str(error))
        return True

    return for_each(session.client, names, "DELETE", lambda name: f"/containers/{name}", params, gone_already)


COMMAND = Command(
    _rm,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    "container rm, container remove, rm",
    _OPTIONS,
    1,
    UNLIMITED,
)

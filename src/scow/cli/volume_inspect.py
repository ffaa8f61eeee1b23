"""`scow volume inspect`: details of volumes."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.inspecting import FORMAT_HELP, inspect
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("format", "f", "string", "", FORMAT_HELP),)


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    def fetch(name: str) -> tuple[str, bytes]:
        return "Volume", session.client.call("GET", f"/volumes/{quote(name, '/:@')}").read()

    return inspect(args, flags.text("format"), fetch)


COMMAND = Command(
    _inspect,
    "[OPTIONS] VOLUME [VOLUME...]",
    "Display detailed information on one or more volumes",
    "",
    _OPTIONS,
    1,
    UNLIMITED,
)

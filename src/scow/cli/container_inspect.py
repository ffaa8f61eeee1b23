"""`scow container inspect`: details of containers."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.inspecting import FORMAT_HELP, inspect
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("format", "f", "string", "", FORMAT_HELP),
    ("size", "s", "bool", "", "Show total file sizes"),
)


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("size", "1")] if flags.on("size") else []

    def fetch(name: str) -> tuple[str, bytes]:
        return "Container", session.client.call("GET", f"/containers/{quote(name, '/:@')}/json", params).read()

    return inspect(args, flags.text("format"), fetch)


COMMAND = Command(
    _inspect,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    "",
    _OPTIONS,
    1,
    UNLIMITED,
)

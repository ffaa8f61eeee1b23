"""`scow network inspect`: details of networks."""

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
    ("verbose", "v", "bool", "", "Show details that help to diagnose"),
)


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("verbose", "true")] if flags.on("verbose") else []

    def fetch(name: str) -> tuple[str, bytes]:
        return "Network", session.client.call("GET", f"/networks/{quote(name, '/:@')}", params).read()

    return inspect(args, flags.text("format"), fetch)


COMMAND = Command(
    _inspect,
    "[OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    "",
    _OPTIONS,
    1,
    UNLIMITED,
)

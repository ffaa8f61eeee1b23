"""`scow image inspect`: details of images."""

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
    ("platform", "", "string", "", "Show the image for this platform"),
)


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("platform", flags.text("platform"))] if flags.text("platform") else []

    def fetch(name: str) -> tuple[str, bytes]:
        return "Image", session.client.call("GET", f"/images/{quote(name, '/:@')}/json", params).read()

    return inspect(args, flags.text("format"), fetch)


COMMAND = Command(
    _inspect,
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    "",
    _OPTIONS,
    1,
    UNLIMITED,
)

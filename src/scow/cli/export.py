"""`scow export`: a container's file system as an archive."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.output_file import check, write
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("output", "o", "string", "", "Write to a file instead of stdout"),)


def _export(session: Session, flags: Flags, args: list[str]) -> int:
    path = flags.text("output")
    check(path, "failed to export container")
    write(session.client.call("GET", f"/containers/{quote(args[0])}/export").pieces(), path)
    return 0


COMMAND = Command(
    _export,
    "[OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    "container export, export",
    _OPTIONS,
    1,
    1,
)

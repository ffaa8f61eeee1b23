"""`scow export`: a container's file system as an archive."""

from __future__ import annotations

import os

from scow.cli.command import Command, Exit
from scow.cli.output import write_all
from scow.cli.output_file import write
from scow.cli.terminal import is_terminal
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("output", "o", "string", "", "Write to a file instead of stdout"),)


def _export(session: Session, flags: Flags, args: list[str]) -> int:
    path = flags.text("output")
    if not path and is_terminal(1):
        raise Exit(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if path:
        _check(path)
    response = session.client.call("GET", f"/containers/{quote(args[0])}/export")
    if path:
        write(response, path)
        return 0
    for piece in response.pieces():
        write_all(1, piece)
    return 0


def _check(path: str) -> None:
    """Docker's refusals of an output path that cannot be written."""
    lead = "failed to export container"
    directory = os.path.dirname(path) or "."
    if not os.path.exists(directory):
        raise Exit(1, f"{lead}: invalid output path: stat {directory}: no such file or directory")
    if os.path.isdir(path):
        raise Exit(1, f"{lead}: cannot write to a directory")
    if os.path.exists(path) and not os.path.isfile(path):
        raise Exit(1, f"{lead}: cannot write to a character device file")


COMMAND = Command(
    _export,
    "[OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    "container export, export",
    _OPTIONS,
    1,
    1,
)

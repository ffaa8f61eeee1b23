"""`scow save`: images as an archive."""

from __future__ import annotations

import os

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.output import write_all
from scow.cli.output_file import write
from scow.cli.terminal import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("output", "o", "string", "", "Write to a file instead of stdout"),
    ("platform", "", "string", "", "Save only images for this platform"),
)


def _save(session: Session, flags: Flags, args: list[str]) -> int:
    path = flags.text("output")
    if not path and is_terminal(1):
        raise Exit(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if path:
        _check(path)
    params = [("names", name) for name in args]
    if flags.text("platform"):
        params.append(("platform", flags.text("platform")))
    response = session.client.call("GET", "/images/get", params)
    if not path:
        for piece in response.pieces():
            write_all(1, piece)
        return 0
    write(response, path)
    return 0


def _check(path: str) -> None:
    """Docker's refusals of an output path that cannot be written."""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise Exit(1, f'failed to save image: invalid output path: directory "{directory}" does not exist')
    if os.path.isdir(path):
        raise Exit(1, f'failed to save image: invalid output path: "{path}" must be a regular file')
    if os.path.exists(path) and not os.path.isfile(path):
        raise Exit(
            1, f'failed to save image: invalid output path: "{path}" must be a regular file or an existing device'
        )


COMMAND = Command(
    _save,
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save images to a tar archive (streamed to stdout by default)",
    "image save, save",
    _OPTIONS,
    1,
    UNLIMITED,
)

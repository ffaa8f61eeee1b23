"""`scow load`: images from an archive."""

from __future__ import annotations

import os

from scow.cli.command import Command, Exit
from scow.cli.output import warn
from scow.cli.progress import ProgressError
from scow.cli.pulling import show
from scow.cli.terminal import is_terminal
from scow.client.upload import from_descriptor, upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("input", "i", "string", "", "Read from a tar archive file instead of stdin"),
    ("platform", "", "string", "", "Load only images for this platform"),
    ("quiet", "q", "bool", "", "Show no progress"),
)


def _load(session: Session, flags: Flags, args: list[str]) -> int:
    path = flags.text("input")
    if path:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Exit(1, f"open {path}: {(error.strerror or '').lower()}") from None
    elif is_terminal(0):
        raise Exit(1, "requested load from stdin, but stdin is empty")
    else:
        fd = 0
    quiet = flags.on("quiet") or not is_terminal(1)
    params = [("quiet", "1" if quiet else "0")]
    if flags.text("platform"):
        params.append(("platform", flags.text("platform")))
    try:
        show(upload(session.client, "POST", "/images/load", params, from_descriptor(fd)), 1)
    except ProgressError as error:
        warn(error.message)
        return 1
    return 0


COMMAND = Command(_load, "[OPTIONS]", "Load images from a tar archive or stdin", "image load, load", _OPTIONS, 0, 0)

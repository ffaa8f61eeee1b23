"""`scow import`: an image from an archive of a root file system."""

from __future__ import annotations

import os

from scow.cli.command import Command, Exit
from scow.cli.commit import new_name
from scow.cli.pulling import show
from scow.client.upload import from_descriptor, upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("change", "c", "list", "", "Dockerfile instruction to apply to the new image"),
    ("message", "m", "string", "", "Commit message of the imported image"),
    ("platform", "", "string", "", "Platform of the imported image"),
)


def _import(session: Session, flags: Flags, args: list[str]) -> int:
    source = args[0]
    fd = -1
    if source == "-":
        fd = 0
    elif not source.startswith(("http://", "https://")):
        try:
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Exit(1, f"open {source}: {(error.strerror or '').lower()}") from None
        source = "-"
    params = [("fromSrc", source), ("message", flags.text("message"))]
    params += [("changes", change) for change in flags.items("change")]
    params += new_name(args[1] if len(args) > 1 else "")
    if flags.text("platform"):
        params.append(("platform", flags.text("platform")))
    if fd < 0:
        show(session.client.call("POST", "/images/create", params), 1)
    else:
        headers = (("Content-Type", "text/plain"),)
        show(upload(session.client, "POST", "/images/create", params, from_descriptor(fd), headers), 1)
    return 0


COMMAND = Command(
    _import,
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    "image import, import",
    _OPTIONS,
    1,
    2,
)

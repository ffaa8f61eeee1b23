"""`scow save`: images as an archive."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.output_file import check, write

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
    check(path, "failed to save image")
    params = [("names", name) for name in args]
    if flags.text("platform"):
        params.append(("platform", flags.text("platform")))
    write(session.client.call("GET", "/images/get", params).pieces(), path)
    return 0


COMMAND = Command(
    _save,
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save images to a tar archive (streamed to stdout by default)",
    "image save, save",
    _OPTIONS,
    1,
    UNLIMITED,
)

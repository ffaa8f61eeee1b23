"""`scow pull`: an image from a registry."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.output import line
from scow.cli.pulling import pull
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all-tags", "a", "bool", "", "Download all tagged images in the repository"),
    ("platform", "", "string", "", "Platform of the image (OS[/ARCH[/VARIANT]])"),
    ("quiet", "q", "bool", "", "Print only the image's name"),
)


def _pull(session: Session, flags: Flags, args: list[str]) -> int:
    image, every, quiet = args[0], flags.on("all-tags"), flags.on("quiet")
    given = Reference.parse(image)
    named = given.tag is not None or given.digest is not None
    if every and named:
        raise Exit(1, "tag can't be used with --all-tags/-a")
    if not named and not quiet and not every:
        line(f"Using default tag: {given.with_default_tag().tag}")
    reference = pull(session, image, flags.text("platform"), None if quiet else 1, every)
    line(str(reference))
    return 0


COMMAND = Command(
    _pull,
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    "image pull, pull",
    _OPTIONS,
    1,
    1,
)

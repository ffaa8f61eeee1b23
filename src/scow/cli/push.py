"""`scow push`: an image to its registry."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.output import line
from scow.cli.pulling import show
from scow.client import credentials
from scow.client.http1 import quote
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all-tags", "a", "bool", "", "Push every tag of the repository"),
    ("disable-content-trust", "", "bool", "true", "Skip image signing"),
    ("platform", "", "string", "", "Push the image for this platform only"),
    ("quiet", "q", "bool", "", "Print only the image's name"),
)


def _push(session: Session, flags: Flags, args: list[str]) -> int:
    every, quiet = flags.on("all-tags"), flags.on("quiet")
    if not flags.on("disable-content-trust"):
        raise Exit(1, f"{session.program}: signing an image on push is not supported yet")
    given = Reference.parse(args[0])
    named = given.tag is not None or given.digest is not None
    if every and named:
        raise Exit(1, "tag can't be used with --all-tags/-a")
    if given.digest is not None:
        raise Exit(1, "cannot push a digest reference")
    reference = given if every else given.with_default_tag()
    if not every and not named and not quiet:
        line(f"Using default tag: {reference.tag}")
    server = credentials.server_key(reference.domain)
    found = credentials.load(session.config, server)
    headers = credentials.header(found or credentials.Credentials("", ""), server)
    name = reference.familiar_name
    params = [("tag", reference.tag)] if reference.tag is not None else []
    if platform := flags.text("platform"):
        params.append(("platform", platform))
    show(session.client.call("POST", f"/images/{quote(name)}/push", params, None, headers), None if quiet else 1)
    if quiet:
        line(reference.familiar)
    return 0


COMMAND = Command(_push, "[OPTIONS] NAME[:TAG]", "Upload an image to a registry", "image push, push", _OPTIONS, 1, 1)

"""`scow tag`: another name for an image."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.client.http1 import quote
from scow.errors import InvalidArgument
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _tag(session: Session, _: Flags, args: list[str]) -> int:
    source, target = args
    try:
        reference = Reference.parse(target)
    except InvalidArgument as error:
        raise Exit(1, f'Error parsing reference: "{target}" is not a valid repository/tag: {error}') from None
    if reference.digest is not None:
        raise Exit(1, "refusing to create a tag with a digest reference")
    reference = reference.with_default_tag()
    params = [("repo", reference.familiar_name), ("tag", reference.tag or "")]
    session.client.call("POST", f"/images/{quote(source, '/:@')}/tag", params).read()
    return 0


COMMAND = Command(
    _tag,
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    "image tag, tag",
    (),
    2,
    2,
)

"""`scow commit`: an image from what a container has become."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.output import line
from scow.errors import InvalidArgument
from scow.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("author", "a", "string", "", 'Author (e.g., "Ada Lovelace <ada@example.org>")'),
    ("change", "c", "list", "", "Dockerfile instruction to apply to the new image"),
    ("message", "m", "string", "", "Commit message"),
    ("pause", "p", "bool", "true", "Pause the container while its files are read"),
)


def _commit(session: Session, flags: Flags, args: list[str]) -> int:
    params = [("author", flags.text("author")), *(("changes", change) for change in flags.items("change"))]
    params += [("comment", flags.text("message")), ("container", args[0])]
    if not flags.on("pause"):
        params.append(("pause", "0"))
    params += new_name(args[1] if len(args) > 1 else "")
    line(session.client.post("/commit", params)["Id"])
    return 0


def new_name(text: str) -> list[tuple[str, str]]:
    """The parameters `repo` and `tag` for the name of a new image, none for none."""
    if not text:
        return []
    try:
        reference = Reference.parse(text)
    except InvalidArgument as error:
        raise Exit(1, str(error)) from None
    if reference.digest is not None:
        raise Exit(1, "refusing to create a tag with a digest reference")
    reference = reference.with_default_tag()
    return [("repo", reference.familiar_name), ("tag", reference.tag or "")]


COMMAND = Command(
    _commit,
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    "container commit, commit",
    _OPTIONS,
    1,
    2,
)

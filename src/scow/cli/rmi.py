"""`scow rmi`: untags images, and deletes those that nothing needs."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.output import line, warn
from scow.client.api import ApiError
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("force", "f", "bool", "", "Remove the image even if containers use it"),
    ("no-prune", "", "bool", "", "Keep untagged parents"),
    ("platform", "", "string", "", "Remove the image for this platform only"),
)


def _rmi(session: Session, flags: Flags, args: list[str]) -> int:
    force = flags.on("force")
    params = [("force", "1")] if force else []
    if flags.on("no-prune"):
        params.append(("noprune", "1"))
    if flags.text("platform"):
        params.append(("platform", flags.text("platform")))
    errors, fatal = [], False
    for name in args:
        try:
            for entry in session.client.call("DELETE", f"/images/{quote(name, '/:@')}", params).json() or ():
                deleted = entry.get("Deleted")
                line(f"Deleted: {deleted}" if deleted else f"Untagged: {entry['Untagged']}")
        except ApiError as error:
            fatal = fatal or error.status != 404
            errors.append(str(error))
    if errors and (fatal or not force):
        raise Exit(1, "\n".join(errors))
    for text in errors:
        warn(text)
    return 0


COMMAND = Command(
    _rmi,
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    "image rm, image remove, rmi",
    _OPTIONS,
    1,
    UNLIMITED,
)

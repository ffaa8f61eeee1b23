"""`scow diff`: what a container changed in its image's files."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.output import put
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _diff(session: Session, _: Flags, args: list[str]) -> int:
    if not args[0]:
        raise Exit(1, "Container name cannot be empty")
    changes = session.client.get(f"/containers/{quote(args[0])}/changes") or ()
    put("".join(f"{'CAD'[change['Kind']]} {change['Path']}\n" for change in changes))
    return 0


COMMAND = Command(
    _diff,
    "CONTAINER",
    "Inspect changes to files or directories on a container's file system",
    "container diff, diff",
    (),
    1,
    1,
)

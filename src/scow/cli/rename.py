"""`scow rename`: another name for a container."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.client.api import ApiError
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _rename(session: Session, _: Flags, args: list[str]) -> int:
    old, new = args[0].strip(), args[1].strip()
    if not old or not new:
        raise Exit(1, "Error: Neither old nor new names may be empty")
    try:
        session.client.post(f"/containers/{quote(old)}/rename", [("name", new)])
    except ApiError as error:
        raise Exit(1, f"{error}\nError: failed to rename container named {old}") from None
    return 0


COMMAND = Command(_rename, "CONTAINER NEW_NAME", "Rename a container", "container rename, rename", (), 2, 2)

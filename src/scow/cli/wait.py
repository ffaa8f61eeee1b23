"""`scow wait`: blocks until containers stop, and prints their exit codes."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.output import line
from scow.client.http1 import quote
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _wait(session: Session, _: Flags, args: list[str]) -> int:
    errors = []
    for name in args:
        try:
            answer = session.client.post(f"/containers/{quote(name)}/wait")
            line(str(answer["StatusCode"]))
        except ScowError as error:
            errors.append(str(error))
    if errors:
        raise Exit(1, "\n".join(errors))
    return 0


COMMAND = Command(
    _wait,
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    "container wait, wait",
    (),
    1,
    UNLIMITED,
)

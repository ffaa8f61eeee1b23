"""`scow context show`: the name of the context in force."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.context_store import Store
from scow.cli.output import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _show(session: Session, flags: Flags, args: list[str]) -> int:
    line(Store(session).current())
    return 0


COMMAND = Command(_show, "", "Print the name of the current context", "", (), 0, 0)

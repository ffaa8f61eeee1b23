"""`scow top`: a container's processes."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command
from scow.cli.output import put
from scow.cli.table import Columns
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _top(session: Session, _: Flags, args: list[str]) -> int:
    params = [("ps_args", " ".join(args[1:]))] if args[1:] else []
    answer = session.client.get(f"/containers/{quote(args[0])}/top", params)
    columns = Columns(least=20, padding=3)
    columns.add(answer["Titles"])
    for process in answer["Processes"] or ():
        columns.add(process)
    put(columns.render())
    return 0


COMMAND = Command(
    _top,
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    "container top, top",
    (),
    1,
    UNLIMITED,
    interspersed=False,
)

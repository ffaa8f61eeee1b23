"""`scow volume create`: a volume of its own."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.keyvalues import mapping
from scow.cli.output import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("driver", "d", "string", "local", "Volume driver"),
    ("label", "", "list", "", "Set metadata on the volume"),
    ("name", "", "string", "", ""),
    ("opt", "o", "list", "", "Options of the driver"),
)


def _create(session: Session, flags: Flags, args: list[str]) -> int:
    name = flags.text("name")
    if args and name:
        raise Exit(1, "conflicting options: cannot specify a volume name through both --name and as a positional arg")
    request = {
        "Driver": flags.text("driver"),
        "DriverOpts": mapping(flags.items("opt")),
        "Labels": mapping(flags.items("label")),
        "Name": args[0] if args else name,
    }
    line(session.client.post("/volumes/create", (), request)["Name"])
    return 0


COMMAND = Command(_create, "[OPTIONS] [VOLUME]", "Create a volume", "", _OPTIONS, 0, 1)

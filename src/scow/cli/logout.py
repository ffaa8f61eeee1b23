"""`scow logout`: forgets a registry's credentials."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.login import server_of
from scow.cli.output import line
from scow.client import credentials
from scow.client.config import read
from scow.client.select import config_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _logout(session: Session, flags: Flags, args: list[str]) -> int:
    server = server_of(args[0] if args else "")
    line(f"Removing login credentials for {server}")
    credentials.erase(read(config_directory(session.config_dir) + "/config.json"), server)
    return 0


COMMAND = Command(_logout, "[SERVER]", "Log out from a registry (Docker Hub if none is named)", "", (), 0, 1)

"""`scow daemon`: becomes the daemon in the foreground, with the interpreter that has its dependencies."""

from __future__ import annotations

import sys

from scow.cli.command import UNLIMITED, Command, Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from scow.cli.command import Session
    from scow.cli.flags import Flags


def become_daemon(args: Sequence[str]) -> NoReturn:
    """Replaces this process by the daemon, which parses `args` itself."""
    import os

    source = __file__.rpartition("/scow/cli/")[0]
    interpreter = source.rpartition("/")[0] + "/.venv/bin/python"
    if not os.access(interpreter, os.X_OK):
        interpreter = sys.executable
    environment = {**os.environ, "PYTHONPATH": source}
    try:
        os.execve(interpreter, [interpreter, "-P", "-m", "scow.daemon", *args], environment)
    except OSError as error:
        raise Exit(1, f"cannot start the daemon with {interpreter}: {error.strerror}") from None


def _daemon(_: Session, __: Flags, args: list[str]) -> int:
    become_daemon(args)


COMMAND = Command(_daemon, "[OPTIONS]", "Run the daemon in the foreground", "", (), 0, UNLIMITED)

"""`scow context use`: which daemon commands go to from now on."""

from __future__ import annotations

from scow.cli.command import Command, environment
from scow.cli.context_store import DEFAULT, Store
from scow.cli.output import line, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _use(session: Session, flags: Flags, args: list[str]) -> int:
    name = args[0]
    store = Store(session)
    store.load(name)
    store.choose(name)
    line(name)
    warn(f'Current context is now "{name}"')
    for variable in ("SCOW_HOST", "DOCKER_HOST"):
        if name != DEFAULT and environment(variable):
            warn(
                f'Warning: {variable} environment variable overrides the active context. To use "{name}", either set the '
                f"global --context flag, or unset {variable} environment variable."
            )
            break
    return 0


COMMAND = Command(_use, "CONTEXT", "Set the current context", "", (), 1, 1)

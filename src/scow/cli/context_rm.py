"""`scow context rm`: forgets contexts."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.context_store import DEFAULT, Store
from scow.cli.output import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("force", "f", "bool", "", "Force the removal of a context in use"),)


def _rm(session: Session, flags: Flags, args: list[str]) -> int:
    store = Store(session)
    current, errors = store.current(), []
    for name in args:
        if name == DEFAULT:
            errors.append('context "default" cannot be removed')
        elif not store.exists(name) and not flags.on("force"):
            errors.append(f'context "{name}" does not exist')
        elif name == current and not flags.on("force"):
            errors.append(f'context "{name}" is in use, set -f flag to force remove')
        else:
            if session.config is not None and session.config.current_context == name:
                store.choose(DEFAULT)
            store.remove(name)
            line(name)
    if errors:
        raise Exit(1, "\n".join(errors))
    return 0


COMMAND = Command(
    _rm,
    "[OPTIONS] CONTEXT [CONTEXT...]",
    "Remove one or more contexts",
    "context rm, context remove",
    _OPTIONS,
    1,
    UNLIMITED,
)

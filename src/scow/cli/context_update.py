"""`scow context update`: another endpoint or description for a context."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.context_store import Store, check_name, endpoint
from scow.cli.output import line, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("description", "", "string", "", "Description of the context"),
    ("docker", "", "string", "", "The daemon's endpoint: host=, ca=, cert=, key=, skip-tls-verify=, from="),
)


def _update(session: Session, flags: Flags, args: list[str]) -> int:
    name = args[0]
    check_name(name)
    store = Store(session)
    if not store.exists(name):
        raise Exit(1, f'context "{name}" does not exist')
    meta, files = store.load(name), None
    if flags.changed("description"):
        meta.setdefault("Metadata", {})["Description"] = flags.text("description")
    if flags.text("docker"):
        meta["Endpoints"]["docker"], files = endpoint(store, flags.text("docker"))
    store.save(meta, files)
    line(name)
    warn(f'Successfully updated context "{name}"')
    return 0


COMMAND = Command(_update, "[OPTIONS] CONTEXT", "Update a context", "", _OPTIONS, 1, 1)

"""`scow context update`: another endpoint or description for a context."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.context_store import OPTIONS, Store, check_name, endpoint
from scow.cli.output import line, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags


def _update(session: Session, flags: Flags, args: list[str]) -> int:
    name = args[0]
    check_name(name)
    store = Store(session)
    meta, files = store.load(name), None
    if flags.changed("description"):
        meta.setdefault("Metadata", {})["Description"] = flags.text("description")
    if flags.text("docker"):
        meta["Endpoints"]["docker"], own = endpoint(store, flags.text("docker"))
        files = {**store.tls_content(name), "docker": own}
    store.save(meta, files)
    line(name)
    warn(f'Successfully updated context "{name}"')
    return 0


COMMAND = Command(_update, "[OPTIONS] CONTEXT", "Update a context", "", OPTIONS, 1, 1)

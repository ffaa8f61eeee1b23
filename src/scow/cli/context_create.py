"""`scow context create`: a name for a daemon."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.context_store import DEFAULT, DEFAULT_TEXT, OPTIONS, Store, endpoint
from scow.cli.output import line, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (*OPTIONS, ("from", "", "string", "", "Create the context from another one"))


def _create(session: Session, flags: Flags, args: list[str]) -> int:
    name = args[0]
    store = Store(session)
    store.check_new(name)
    source = flags.text("from")
    if source and flags.text("docker"):
        raise Exit(1, "cannot use --docker flag when --from is set")
    about = dict(store.load(source).get("Metadata") or {}) if source else {}
    if source == DEFAULT or not (source or flags.text("docker") or store.current() != DEFAULT):
        about["Description"] = DEFAULT_TEXT
    made, files = endpoint(store, f"from={source}" if source else flags.text("docker"))
    if flags.text("description"):
        about["Description"] = flags.text("description")
    store.save({"Name": name, "Metadata": about, "Endpoints": {"docker": made}}, {"docker": files})
    line(name)
    warn(f'Successfully created context "{name}"')
    return 0


COMMAND = Command(_create, "[OPTIONS] CONTEXT", "Create a context", "", _OPTIONS, 1, 1)

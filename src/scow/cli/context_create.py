"""`scow context create`: a name for a daemon."""

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
    ("from", "", "string", "", "Create the context from another one"),
)


def _create(session: Session, flags: Flags, args: list[str]) -> int:
    name = args[0]
    check_name(name)
    store = Store(session)
    if store.exists(name):
        raise Exit(1, f'context "{name}" already exists')
    source = flags.text("from")
    if source and flags.text("docker"):
        raise Exit(1, "cannot use --docker and --from together")
    made, files = endpoint(store, f"from={source}" if source else flags.text("docker"))
    about = dict(store.load(source).get("Metadata") or {}) if source else {}
    if flags.text("description"):
        about["Description"] = flags.text("description")
    store.save({"Name": name, "Metadata": about, "Endpoints": {"docker": made}}, files)
    line(name)
    warn(f'Successfully created context "{name}"')
    return 0


COMMAND = Command(_create, "[OPTIONS] CONTEXT", "Create a context", "", _OPTIONS, 1, 1)

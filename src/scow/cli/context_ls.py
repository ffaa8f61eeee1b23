"""`scow context ls`: the contexts, and which is in force."""

from __future__ import annotations

from scow.cli.command import Command, environment
from scow.cli.context_store import DEFAULT, DEFAULT_TEXT, Store
from scow.cli.listing import FORMAT_HELP, Listing, Row
from scow.cli.natural import natural_key
from scow.cli.output import put, warn
from scow.cli.units import ellipsis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("format", "", "string", "", FORMAT_HELP),
    ("quiet", "q", "bool", "", "Only show context names"),
)
HEADERS = {
    "Description": "DESCRIPTION",
    "DockerEndpoint": "DOCKER ENDPOINT",
    "Error": "ERROR",
    "Name": "NAME",
}
_LONGEST = 45
_TABLE = "table {{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}"


def _ls(session: Session, flags: Flags, args: list[str]) -> int:
    store = Store(session)
    current = store.current()
    names = [DEFAULT, *store.names()]
    rows = [
        _row(store, name, current) if name in names else _missing(store, name)
        for name in sorted({*names, current}, key=natural_key)
    ]
    layout = flags.text("format")
    if flags.on("quiet") and not layout:
        layout = "{{.Name}}"
    put(Listing(("Name", "Description", "DockerEndpoint", "Error"), HEADERS).render(rows, layout or _TABLE))
    if not flags.on("quiet") and environment("DOCKER_HOST") and not session.host and len(names) > 1:
        warn(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the "
            "global --context flag, or unset DOCKER_HOST environment variable."
        )
    return 0


def _row(store: Store, name: str, current: str) -> Row:
    meta = store.load(name)
    text = DEFAULT_TEXT if name == DEFAULT else meta.get("Metadata", {}).get("Description")
    return Row(
        "*formatter.contextContext",
        {
            "Name": lambda: name,
            "Current": lambda: name == current,
            "Description": lambda: text or "",
            "DockerEndpoint": lambda: meta["Endpoints"].get("docker", {}).get("Host", ""),
            "Error": lambda: "" if "docker" in meta["Endpoints"] else "cannot find docker endpoint in context",
        },
    )


def _missing(store: Store, name: str) -> Row:
    return Row(
        "*formatter.contextContext",
        {
            "Name": lambda: name,
            "Current": lambda: True,
            "Description": lambda: "",
            "DockerEndpoint": lambda: "",
            "Error": lambda: ellipsis(store.missing(name), _LONGEST),
        },
    )


COMMAND = Command(_ls, "[OPTIONS]", "List contexts", "context ls, context list", _OPTIONS, 0, 0)

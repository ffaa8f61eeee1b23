"""`scow inspect`: details of containers, images, networks and volumes, whichever has the name."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.inspecting import FORMAT_HELP, inspect
from scow.client.api import ApiError
from scow.client.http1 import quote
from scow.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("format", "f", "string", "", FORMAT_HELP),
    ("size", "s", "bool", "", "Show total file sizes if the object is a container"),
    ("type", "", "string", "", "Inspect only objects of this type"),
)
_PATHS = {
    "container": ("Container", "/containers/{}/json"),
    "image": ("Image", "/images/{}/json"),
    "network": ("Network", "/networks/{}"),
    "volume": ("Volume", "/volumes/{}"),
}
_SWARM = ("config", "node", "plugin", "secret", "service", "task")


def _inspect(session: Session, flags: Flags, args: list[str]) -> int:
    kind = flags.text("type")
    if flags.changed("type") and not kind:
        raise Exit(
            1,
            'type is empty: must be one of "config", "container", "image", "network", "node", "plugin", '
            '"secret", "service", "task", "volume"',
        )
    if kind in _SWARM:
        raise Exit(1, f"scow: inspect --type {kind} is not supported yet")
    if kind and kind not in _PATHS:
        known = ", ".join(f'"{name}"' for name in sorted((*_PATHS, *_SWARM)))
        raise Exit(1, f'unknown type: "{kind}": must be one of {known}')
    kinds = [kind] if kind else list(_PATHS)
    size = [("size", "1")] if flags.on("size") else []

    def fetch(name: str) -> tuple[str, bytes]:
        for candidate in kinds:
            type_name, path = _PATHS[candidate]
            try:
                params = size if candidate == "container" else []
                return type_name, session.client.call("GET", path.format(quote(name, "/:@")), params).read()
            except ApiError as error:
                if kind or error.status != 404:
                    raise
        raise NotFound(f"Error: No such object: {name}")

    return inspect(args, flags.text("format"), fetch)


COMMAND = Command(
    _inspect,
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on objects of the engine",
    "",
    _OPTIONS,
    1,
    UNLIMITED,
)

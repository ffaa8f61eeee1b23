"""`scow ps`: lists containers."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.output import put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all", "a", "bool", "", "Show all containers (default: running ones)"),
    ("filter", "f", "list", "", "Show only containers that match a condition"),
    ("format", "", "string", "", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
    ("last", "n", "int", "-1", "Show the last n created containers, whatever their state"),
    ("latest", "l", "bool", "", "Show the last created container, whatever its state"),
    ("no-trunc", "", "bool", "", "Don't truncate output"),
    ("quiet", "q", "bool", "", "Show only container IDs"),
    ("size", "s", "bool", "", "Show total file sizes"),
)


def _ps(session: Session, flags: Flags, args: list[str]) -> int:
    quiet, layout = flags.on("quiet"), flags.text("format")
    if not layout and not quiet and session.config is not None:
        layout = session.config.text("psFormat")
    uses_size = not quiet and any(word in layout for word in (".Size", "json ."))
    size = flags.on("size") or (uses_size and not flags.changed("size"))
    containers = session.client.get("/containers/json", _params(flags, size))
    if quiet and not layout:
        end = None if flags.on("no-trunc") else 12
        put("".join(container["Id"][:end] + "\n" for container in containers))
        return 0
    from scow.cli.container_rows import listing, row

    rows = [row(container, trunc=not flags.on("no-trunc")) for container in containers]
    if quiet:
        layout = "{{.ID}}"
    put(listing(flags.on("size")).render(rows, layout))
    return 0


def _params(flags: Flags, size: bool) -> list[tuple[str, Any]]:
    params: list[tuple[str, str]] = []
    last = flags.number("last")
    if flags.on("latest") and last == -1:
        last = 1
    if flags.on("all"):
        params.append(("all", "1"))
    if last > 0:
        params.append(("limit", str(last)))
    if size:
        params.append(("size", "1"))
    if flags.changed("filter"):
        from scow.cli.listing import filters_param

        params += filters_param(flags.items("filter"))
    return params


COMMAND = Command(_ps, "[OPTIONS]", "List containers", "container ls, container list, container ps, ps", _OPTIONS, 0, 0)

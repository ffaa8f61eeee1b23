"""`scow network ls`: lists networks."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.listing import FORMAT_HELP, Listing, Row, filters_param
from scow.cli.moments import go_string
from scow.cli.natural import natural_key
from scow.cli.output import put
from scow.cli.units import short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("filter", "f", "list", "", "Show only networks that match a condition"),
    ("format", "", "string", "", FORMAT_HELP),
    ("no-trunc", "", "bool", "", "Don't truncate output"),
    ("quiet", "q", "bool", "", "Show only network IDs"),
)
_HEADERS = {
    "CreatedAt": "CREATED AT",
    "Driver": "DRIVER",
    "ID": "NETWORK ID",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "Name": "NAME",
    "Scope": "SCOPE",
}


def _ls(session: Session, flags: Flags, args: list[str]) -> int:
    networks = session.client.get("/networks", filters_param(flags.items("filter"))) or []
    networks.sort(key=lambda network: natural_key(network["Name"]))
    rows = [_row(network, not flags.on("no-trunc")) for network in networks]
    layout = flags.text("format")
    if flags.on("quiet") and not layout:
        layout = "{{.ID}}"
    put(Listing(("ID", "Name", "Driver", "Scope"), _HEADERS).render(rows, layout))
    return 0


def _row(network: dict[str, Any], trunc: bool) -> Row:
    labels = network.get("Labels") or {}
    fields = {
        "ID": lambda: short_id(network["Id"]) if trunc else network["Id"],
        "Name": lambda: network["Name"],
        "Driver": lambda: network["Driver"],
        "Scope": lambda: network["Scope"],
        "IPv4": lambda: "true" if network.get("EnableIPv4") else "false",
        "IPv6": lambda: "true" if network.get("EnableIPv6") else "false",
        "Internal": lambda: "true" if network.get("Internal") else "false",
        "Labels": lambda: ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "CreatedAt": lambda: go_string(network["Created"]),
    }
    return Row("*network.networkContext", fields, labels)


COMMAND = Command(_ls, "[OPTIONS]", "List networks", "network ls, network list", _OPTIONS, 0, 0)

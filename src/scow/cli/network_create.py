"""`scow network create`: a network of the user's own."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.keyvalues import mapping
from scow.cli.output import line
from scow.cli.subnets import ipam_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("attachable", "", "bool", "", "Enable manual container attachment"),
    ("aux-address", "", "list", "", "Addresses that are somebody else's (name=address)"),
    ("config-from", "", "string", "", "The network from which to copy the configuration"),
    ("config-only", "", "bool", "", "Create a network that is a template only"),
    ("driver", "d", "string", "bridge", "Driver of the network (bridge, macvlan)"),
    ("gateway", "", "list", "", "Gateway of a subnet"),
    ("ingress", "", "bool", "", ""),
    ("internal", "", "bool", "", "No way out of the network and none into it"),
    ("ip-range", "", "list", "", "Take addresses of containers from a part of the subnet"),
    ("ipam-driver", "", "string", "default", "IP address management driver"),
    ("ipam-opt", "", "list", "", "Options of the address management driver"),
    ("ipv4", "", "bool", "true", "Give containers IPv4 addresses"),
    ("ipv6", "", "bool", "", "Give containers IPv6 addresses"),
    ("label", "", "list", "", "Set metadata on the network"),
    ("opt", "o", "list", "", "Options of the driver"),
    ("scope", "", "string", "", "The network's scope"),
    ("subnet", "", "list", "", "Subnet in CIDR form"),
)


def _create(session: Session, flags: Flags, args: list[str]) -> int:
    words = {name: _words(flags.items(name)) for name in ("subnet", "ip-range", "gateway")}
    try:
        config = ipam_config(words["subnet"], words["ip-range"], words["gateway"], mapping(flags.items("aux-address")))
    except ValueError as error:
        raise Exit(1, str(error)) from None
    request = {
        "Name": args[0],
        "Driver": flags.text("driver"),
        "Scope": flags.text("scope"),
        "IPAM": {
            "Driver": flags.text("ipam-driver"),
            "Options": mapping(flags.items("ipam-opt")),
            "Config": config,
        },
        "Internal": flags.on("internal"),
        "Attachable": flags.on("attachable"),
        "Ingress": flags.on("ingress"),
        "ConfigOnly": flags.on("config-only"),
        "Options": mapping(flags.items("opt")),
        "Labels": mapping(flags.items("label")),
    }
    if flags.changed("ipv4"):
        request["EnableIPv4"] = flags.on("ipv4")
    if flags.changed("ipv6"):
        request["EnableIPv6"] = flags.on("ipv6")
    if flags.text("config-from"):
        request["ConfigFrom"] = {"Network": flags.text("config-from")}
    line(session.client.post("/networks/create", (), request)["Id"])
    return 0


def _words(items: list[str]) -> list[str]:
    """Each value may name several, behind commas."""
    return [word.strip() for item in items for word in item.split(",")]


COMMAND = Command(_create, "[OPTIONS] NETWORK", "Create a network", "", _OPTIONS, 1, 1)

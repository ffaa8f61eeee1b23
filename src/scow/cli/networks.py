"""`--network` and the options that describe the container's endpoint on it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.flags import Flags


def parse_network(text: str) -> dict[str, Any]:
    """A network name or `name=…,alias=…,ip=…`. Raises ValueError."""
    out: dict[str, Any] = {"Target": text, "Aliases": [], "DriverOpts": {}, "IPv4": "", "IPv6": "", "MAC": "", "LL": []}
    out["Priority"] = 0
    if "=" not in text:
        return out
    from scow.cli.mounts import csv_fields

    out["Target"] = ""
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"invalid field {field}")
        key, value = key.strip().lower(), value.strip()
        if key == "name":
            out["Target"] = value
        elif key == "alias":
            out["Aliases"].append(value)
        elif key == "driver-opt":
            out["DriverOpts"].update(driver_options([value]))
        elif key in _FIELDS:
            out[_FIELDS[key]] = value
        elif key == "link-local-ip":
            out["LL"].append(value)
        elif key == "gw-priority":
            out["Priority"] = _priority(value)
        else:
            raise ValueError(f"invalid field key {key}")
    if not out["Target"]:
        raise ValueError("network name/id is not specified")
    return out


def driver_options(pairs: list[str]) -> dict[str, str]:
    """`name=value` texts as a map. Raises ValueError."""
    out = {}
    for pair in pairs:
        name, equals, option = pair.partition("=")
        if not equals or not name:
            raise ValueError("invalid key value pair format in driver options")
        out[name.strip().lower()] = option.strip().lower()
    return out


def _priority(text: str) -> int:
    if not text.removeprefix("-").isdigit() or not text.isascii():
        raise ValueError(f'invalid gw-priority: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


_FIELDS = {"ip": "IPv4", "ip6": "IPv6", "mac-address": "MAC"}


def user_defined(name: str) -> bool:
    """Whether this names a network and not a mode."""
    return name not in ("", "default", "bridge", "host", "none") and not name.startswith("container:")


def endpoint(network: dict[str, Any]) -> dict[str, Any]:
    """The API's EndpointSettings."""
    ipam = None
    if network["IPv4"] or network["IPv6"] or network["LL"]:
        ipam = {"IPv4Address": network["IPv4"], "IPv6Address": network["IPv6"], "LinkLocalIPs": network["LL"] or None}
        ipam = {key: value for key, value in ipam.items() if value}
    settings = {
        "IPAMConfig": ipam,
        "Links": network.get("Links") or None,
        "Aliases": network["Aliases"] or None,
        "MacAddress": network["MAC"],
        "DriverOpts": network["DriverOpts"] or None,
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }
    if network.get("Priority"):
        settings["GwPriority"] = network["Priority"]
    return settings


_CONFLICTS = (
    ("network-alias", "Aliases", "--network-alias and per-network alias"),
    ("ip", "IPv4", "--ip and per-network IPv4 address"),
    ("ip6", "IPv6", "--ip6 and per-network IPv6 address"),
    ("mac-address", "MAC", "--mac-address and per-network MAC address"),
    ("link-local-ip", "LL", "--link-local-ip and per-network link-local IP addresses"),
)


def networking(flags: Flags) -> tuple[str, dict[str, Any]]:
    """(network mode, endpoints by network) of a command line. Raises ValueError with Docker's sentence."""
    networks = [dict(network) for network in flags.items("network")] or [parse_network("default")]
    first = networks[0]
    aliases = flags.items("network-alias")
    if aliases and not user_defined(first["Target"]):
        raise ValueError("network-scoped aliases are only supported for user-defined networks")
    for option, field, what in _CONFLICTS:
        if not flags.changed(option):
            continue
        if first[field]:
            raise ValueError(f"conflicting options: cannot specify both {what}")
        many = option in ("network-alias", "link-local-ip")
        first[field] = flags.items(option) if many else flags.text(option)
    if user_defined(first["Target"]):
        first["Links"] = flags.items("link")
    if len(networks) > 1 and not all(user_defined(network["Target"]) for network in networks):
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    endpoints: dict[str, Any] = {}
    for network in networks:
        if network["Target"] in endpoints:
            raise ValueError(f'network "{network["Target"]}" is specified multiple times')
        endpoints[network["Target"]] = endpoint(network)
    return first["Target"], endpoints

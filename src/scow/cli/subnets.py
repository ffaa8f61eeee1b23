"""`--subnet`, `--ip-range`, `--gateway` and `--aux-address` of `network create` brought together."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any

    Network = IPv4Network | IPv6Network


def ipam_config(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], auxiliary: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The API's IPAM.Config: to each subnet what belongs to it. Raises ValueError with Docker's sentence."""
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise ValueError("every ip-range or gateway must have a corresponding subnet")
    config: dict[str, dict[str, Any]] = {}
    for subnet in subnets:
        for other in config:
            if _overlap(subnet, other):
                raise ValueError("multiple overlapping subnet configuration is not supported")
        config[subnet] = {"Subnet": subnet, "AuxiliaryAddresses": {}}
    for text in ranges:
        _add_range(config, text)
    for text in gateways:
        found = _of(config, text)
        if found is None:
            raise ValueError(f"no matching subnet for gateway {text}")
        if "Gateway" in found:
            raise ValueError(
                f"cannot configure multiple gateways ({text}, {found['Gateway']}) for the same subnet ({found['Subnet']})"
            )
        found["Gateway"] = text
    for name, text in auxiliary.items():
        found = _of(config, text)
        if found is None:
            raise ValueError(f"no matching subnet for aux-address {text}")
        found["AuxiliaryAddresses"][name] = text
    for one in config.values():
        if not one["AuxiliaryAddresses"]:
            del one["AuxiliaryAddresses"]
    return list(config.values())


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _overlap(one: str, other: str) -> bool:
    """Whether an address of one is in the other; what is no subnet is the daemon's to refuse."""
    first, second = _network(one), _network(other)
    if first is None or second is None:
        return False
    if first.version == 4 and second.version == 4:
        return first.overlaps(second)
    return first.version == 6 and second.version == 6 and first.overlaps(second)


def _of(config: Mapping[str, dict[str, Any]], text: str) -> dict[str, Any] | None:
    """The subnet that an address belongs to."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    for subnet, one in config.items():
        network = _network(subnet)
        if network is not None and address.version == network.version and address in network:
            return one
    return None


def _add_range(config: Mapping[str, dict[str, Any]], text: str) -> None:
    within = _network(text)
    if within is None:
        raise ValueError(f"invalid CIDR address: {text}")
    found = _of(config, str(within.network_address))
    if found is None:
        raise ValueError(f"no matching subnet for range {text}")
    if "IPRange" in found:
        raise ValueError(
            f"cannot configure multiple ranges ({text}, {found['IPRange']}) on the same subnet ({found['Subnet']})"
        )
    found["IPRange"] = text

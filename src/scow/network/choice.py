"""Which network a name means, what a container may ask of one, and which of its networks leads outside. Pure; the sentences
are Docker 26's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network

from scow.errors import Conflict, InvalidArgument, NotFound
from scow.model.network import Endpoint, EndpointWish, Network


def find(networks: Collection[Network], name: str) -> Network:
    """By name, then id, then unambiguous id prefix."""
    for network in networks:
        if network.name == name:
            return network
    matches = [one for one in networks if one.id == name] or [
        one for one in networks if name and one.id.startswith(name)
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Conflict(f"network {name} is ambiguous ({len(matches)} matches found based on ID prefix)")
    raise NotFound(f"network {name} not found")


def check_wish(network: Network, wish: EndpointWish, *, prefix: str = "") -> None:
    """InvalidArgument with every fault, one a line. `prefix`: what the sentence begins with."""
    faults = [*_faults(network, wish)]
    if faults:
        lines = faults if len(faults) == 1 else [f"* {fault}" for fault in faults]
        raise InvalidArgument(f"{prefix}invalid endpoint settings:\n" + "\n".join(lines))


def _faults(network: Network, wish: EndpointWish) -> Iterable[str]:
    asked = [text for text in (wish.ipv4, wish.ipv6) if text]
    if network.name == "bridge":
        if asked:
            yield "user specified IP address is supported on user defined networks only"
        if wish.aliases:
            yield "network-scoped alias is supported only for containers in user defined networks"
    for text, version in ((wish.ipv4, 4), (wish.ipv6, 6)):
        if text:
            yield from _address_faults(network, text, version)


def _address_faults(network: Network, text: str, version: int) -> Iterable[str]:
    try:
        address = ip_address(text)
        valid = address.version == version
    except ValueError:
        address, valid = None, False
    if not valid:
        yield f"invalid IPv{version} address: {text}"
    ranges = [one for one in network.ranges if one.ipv6 is (version == 6)]
    inside = [one for one in ranges if valid and address in ip_network(one.subnet)]
    if not inside:
        yield f"no configured subnet or ip-range contain the IP address {text}"
    elif not inside[0].given and network.name != "bridge":
        yield "user specified IP address is supported only when connecting to networks with user configured subnets"


def outward(endpoints: Sequence[Endpoint], networks: Mapping[str, Network]) -> Endpoint | None:
    """The endpoint that has the default route and publishes the ports: by priority, then those with both families, then
    by the network's name; None when every network is internal.
    """
    able = [one for one in endpoints if one.gateway and not networks[one.network_id].internal]
    return min(
        able,
        key=lambda one: (-one.gw_priority, not one.ipv6_gateway, one.network_name),
        default=None,
    )


def gateways(endpoint: Endpoint | None) -> tuple[str, ...]:
    """Where its default routes lead, one for each family."""
    return tuple(one for one in (endpoint.gateway, endpoint.ipv6_gateway) if one) if endpoint else ()

"""Networks: wire to domain and back."""

from collections.abc import Sequence

from scow.api.network import ConfigSource, CreateNetwork, Ipam, IpamConfig, NetworkContainer
from scow.api.network import Network as WireNetwork
from scow.api.values import UNSET
from scow.errors import Forbidden, InvalidArgument
from scow.model.container import Container
from scow.model.network import AddressRange, Endpoint, Network, NetworkRequest
from scow.server.docker.convert.times import rfc3339


def to_request(wire: CreateNetwork) -> NetworkRequest:
    """Every field has its place in the request, or is refused by name."""
    if wire.EnableIPv4 is False:
        raise InvalidArgument("EnableIPv4 false is not supported by scow: a network has IPv4")
    if wire.Ingress:
        raise Forbidden("Ingress network can only be global scope network")
    if wire.Scope not in ("", "local"):
        raise Forbidden(f"cannot create a {wire.Scope} scoped network when swarm is not active")
    ipam = wire.IPAM
    return NetworkRequest(
        name=wire.Name,
        driver="" if wire.Driver == "default" else wire.Driver,
        ranges=tuple(
            AddressRange(one.Subnet, one.Gateway, one.IPRange, dict(one.AuxiliaryAddresses or one.AuxAddress or {}))
            for one in (ipam.Config if ipam else None) or ()
        ),
        ipv6=bool(wire.EnableIPv6),
        internal=wire.Internal,
        attachable=wire.Attachable,
        options=dict(wire.Options or {}),
        labels=dict(wire.Labels or {}),
        ipam_driver=(ipam.Driver if ipam else "") or "default",
        ipam_options=dict(ipam.Options) if ipam and ipam.Options is not None else None,
        config_only=wire.ConfigOnly,
        config_from=wire.ConfigFrom.Network if wire.ConfigFrom else "",
    )


def show_network(network: Network, containers: Sequence[tuple[Container, Endpoint]] = ()) -> WireNetwork:
    """A list shows no containers, an inspect those that run."""
    ranges = sorted(network.ranges, key=lambda one: not one.given)
    return WireNetwork(
        Name=network.name,
        Id=network.id,
        Created=rfc3339(network.created_at),
        Scope="local",
        Driver=network.driver,
        EnableIPv6=network.ipv6,
        IPAM=Ipam(network.ipam_driver, network.ipam_options, [_show_range(one) for one in ranges] or None),
        Internal=network.internal,
        Attachable=network.attachable,
        Ingress=False,
        ConfigFrom=ConfigSource(network.config_from),
        ConfigOnly=network.config_only,
        Containers={container.id: _show_container(container, endpoint) for container, endpoint in containers},
        Options=network.options,
        Labels=network.labels,
    )


def _show_range(one: AddressRange) -> IpamConfig:
    """What the user gave, or what was chosen in its place."""
    shown = one.gateway if one.gateway_given or not one.given else ""
    return IpamConfig(
        Subnet=one.subnet,
        IPRange=one.ip_range or UNSET,
        Gateway=shown or UNSET,
        AuxiliaryAddresses=one.auxiliary or UNSET,
    )


def _show_container(container: Container, endpoint: Endpoint) -> NetworkContainer:
    address = f"{endpoint.ip_address}/{endpoint.prefix_length}" if endpoint.ip_address else ""
    address6 = f"{endpoint.ipv6_address}/{endpoint.ipv6_prefix_length}" if endpoint.ipv6_address else ""
    return NetworkContainer(container.name, endpoint.endpoint_id, endpoint.mac_address, address, address6)

"""Networks: domain to wire."""

from collections.abc import Sequence

from scow.api.network import ConfigSource, Ipam, IpamConfig, NetworkContainer
from scow.api.network import Network as WireNetwork
from scow.api.values import UNSET
from scow.model.container import Container
from scow.model.network import Endpoint, Network
from scow.server.docker.convert.times import rfc3339


def show_network(network: Network, containers: Sequence[tuple[Container, Endpoint]] = ()) -> WireNetwork:
    """A list shows no containers, an inspect those that run."""
    config = None
    if network.subnet:
        config = [IpamConfig(Subnet=network.subnet, Gateway=network.gateway or UNSET)]
    return WireNetwork(
        Name=network.name,
        Id=network.id,
        Created=rfc3339(network.created_at),
        Scope="local",
        Driver=network.driver,
        EnableIPv6=False,
        IPAM=Ipam("default", None, config),
        Internal=network.internal,
        Attachable=False,
        Ingress=False,
        ConfigFrom=ConfigSource(),
        ConfigOnly=False,
        Containers={container.id: _show_container(container, endpoint) for container, endpoint in containers},
        Options=_options(network),
        Labels=network.labels,
    )


def _show_container(container: Container, endpoint: Endpoint) -> NetworkContainer:
    address = f"{endpoint.ip_address}/{endpoint.prefix_length}" if endpoint.ip_address else ""
    return NetworkContainer(container.name, endpoint.endpoint_id, endpoint.mac_address, address, "")


def _options(network: Network) -> dict[str, str]:
    if network.driver != "bridge" or network.options:
        return network.options
    options = {
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": network.bridge,
        "com.docker.network.driver.mtu": str(network.mtu),
    }
    if network.name == "bridge":
        options = {"com.docker.network.bridge.default_bridge": "true", **options}
    return options

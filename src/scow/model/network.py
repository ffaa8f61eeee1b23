"""Networks, what a container wants of its place on one, and what it has."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from scow.model.ports import Port, PortBinding, PublishedPort

PREDEFINED = ("bridge", "host", "none")


@dataclass(frozen=True, slots=True)
class AddressRange:
    """One address range of a network: subnet 172.30.0.0/16 or fd00::/64, gateway an address of it.

    ip_range: where addresses are taken from, "" for the whole subnet. auxiliary: addresses that are somebody else's, by name.
    given: the user named the subnet (and may then ask for addresses of it); gateway_given: and the gateway.
    """

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)
    given: bool = False
    gateway_given: bool = False

    @property
    def ipv6(self) -> bool:
        return ":" in self.subnet


@dataclass(frozen=True, slots=True)
class Network:
    """One network. id: 64 hex digits. driver: bridge, macvlan, host or null. ranges: IPv4 first, at most one of each family.

    bridge: the host's interface of that name. config_only: a template that no container can be on; config_from: its name in
    networks made of one.
    """

    id: str
    name: str
    driver: str
    created_at: int = 0
    ranges: tuple[AddressRange, ...] = ()
    bridge: str = ""
    mtu: int = 0
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    config_only: bool = False
    config_from: str = ""

    @property
    def predefined(self) -> bool:
        return self.name in PREDEFINED

    @property
    def range4(self) -> AddressRange | None:
        return next((one for one in self.ranges if not one.ipv6), None)

    @property
    def range6(self) -> AddressRange | None:
        return next((one for one in self.ranges if one.ipv6), None)

    @property
    def subnet(self) -> str:
        return self.range4.subnet if self.range4 else ""

    @property
    def gateway(self) -> str:
        return self.range4.gateway if self.range4 else ""


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """What a client wants a network to be. driver "" is bridge; ranges as given: gateways may be missing."""

    name: str
    driver: str = ""
    ranges: tuple[AddressRange, ...] = ()
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    config_only: bool = False
    config_from: str = ""


@dataclass(frozen=True, slots=True)
class EndpointWish:
    """A container is to be on a network (by name; before the first start what the user wrote: a name or an id).

    network_id "" before the first start. gw_priority: the highest one has the default route. links: names of other
    containers on the network with what this one alone calls them, as written (`CONTAINER:ALIAS`).
    """

    network: str
    network_id: str = ""
    ipv4: str = ""
    ipv6: str = ""
    mac_address: str = ""
    aliases: tuple[str, ...] = ()
    gw_priority: int = 0
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's connection to one network; addresses are empty for host and none. interface: its name inside. links:
    as the wish has them.
    """

    network_id: str
    network_name: str
    endpoint_id: str
    ip_address: str = ""
    prefix_length: int = 0
    gateway: str = ""
    mac_address: str = ""
    aliases: tuple[str, ...] = ()
    ipv6_address: str = ""
    ipv6_prefix_length: int = 0
    ipv6_gateway: str = ""
    interface: str = "eth0"
    gw_priority: int = 0
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """A port of a neighbour that a link leads to."""

    address: str
    port: Port


@dataclass(frozen=True, slots=True)
class Tenant:
    """The container that asks for a place: what it is called, whom it asks for names, which ports it publishes. reaches: what
    it may speak to on a default bridge whose containers are kept apart.
    """

    id: str
    name: str = ""
    hostname: str = ""
    dns: tuple[str, ...] = ()
    bare_names: bool = True  # names of one label are asked outside, too (names.NameClient)
    bindings: tuple[PortBinding, ...] = ()
    reaches: tuple[Reach, ...] = ()

    @property
    def short_id(self) -> str:
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class Tenancy:
    """A container that lives on from an earlier daemon's time: what the engine has recorded of its network."""

    tenant: Tenant
    endpoints: tuple[Endpoint, ...]
    published: tuple[PublishedPort, ...] = ()
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A container's network, ready to enter. `netns` is an open fd owned by the caller; `reserved` are bound sockets
    that hold the host ports: they go to the monitor, then the caller closes its copies. `resolver`: the address that answers
    for names in there, "" when nobody does.
    """

    netns: int
    endpoints: tuple[Endpoint, ...]
    published: Sequence[PublishedPort]
    reserved: Sequence[socket.socket]
    resolver: str = ""

    @property
    def endpoint(self) -> Endpoint:
        """The first one: eth0."""
        return self.endpoints[0]


@dataclass(frozen=True, slots=True)
class Places:
    """What a running container has after its networks changed."""

    endpoints: tuple[Endpoint, ...]
    published: tuple[PublishedPort, ...]
    resolver: str = ""

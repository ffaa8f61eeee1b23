"""Networks and a container's place on them."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from scow.model.ports import PublishedPort


@dataclass(frozen=True, slots=True)
class Network:
    """One network. id: 64 hex digits. driver: bridge, host or null. subnet like 172.30.0.0/16, gateway an address
    of it.
    """

    id: str
    name: str
    driver: str
    created_at: int = 0
    subnet: str = ""
    gateway: str = ""
    bridge: str = ""
    mtu: int = 0
    internal: bool = False
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's connection to one network; addresses are empty for host and none."""

    network_id: str
    network_name: str
    endpoint_id: str
    ip_address: str = ""
    prefix_length: int = 0
    gateway: str = ""
    mac_address: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A container's network, ready to enter. `netns` is an open fd owned by the caller; `reserved` are bound sockets
    that hold the host ports: they go to the monitor, then the caller closes its copies.
    """

    netns: int
    endpoint: Endpoint
    published: Sequence[PublishedPort]
    reserved: Sequence[socket.socket]

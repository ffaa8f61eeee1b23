"""Networks and a container's place on them."""

from dataclasses import dataclass, field


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

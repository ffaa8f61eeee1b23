"""Networks as list and inspect show them."""

import msgspec

from scow.api.values import UNSET, UnsetType


class IpamConfig(msgspec.Struct):
    Subnet: str | UnsetType = UNSET
    IPRange: str | UnsetType = UNSET
    Gateway: str | UnsetType = UNSET
    AuxiliaryAddresses: dict[str, str] | UnsetType = UNSET


class Ipam(msgspec.Struct):
    Driver: str
    Options: dict[str, str] | None
    Config: list[IpamConfig] | None


class ConfigSource(msgspec.Struct):
    Network: str = ""


class NetworkContainer(msgspec.Struct):
    Name: str
    EndpointID: str
    MacAddress: str
    IPv4Address: str
    IPv6Address: str


class Network(msgspec.Struct):
    """GET /networks and /networks/{id}; a list has no Containers."""

    Name: str
    Id: str
    Created: str
    Scope: str
    Driver: str
    EnableIPv6: bool
    IPAM: Ipam
    Internal: bool
    Attachable: bool
    Ingress: bool
    ConfigFrom: ConfigSource
    ConfigOnly: bool
    Containers: dict[str, NetworkContainer]
    Options: dict[str, str]
    Labels: dict[str, str]


class PruneNetworks(msgspec.Struct):
    NetworksDeleted: list[str] | None

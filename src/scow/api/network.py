"""Networks as list and inspect show them."""

import msgspec

from scow.api.endpoint import EndpointSettings
from scow.api.values import UNSET, StringMap, UnsetType


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


class IpamConfigBody(msgspec.Struct, forbid_unknown_fields=True):
    Subnet: str = ""
    IPRange: str = ""
    Gateway: str = ""
    AuxiliaryAddresses: StringMap = None
    AuxAddress: StringMap = None


class IpamBody(msgspec.Struct, forbid_unknown_fields=True):
    Driver: str = ""
    Options: StringMap = None
    Config: list[IpamConfigBody] | None = None


class CreateNetwork(msgspec.Struct, forbid_unknown_fields=True):
    """POST /networks/create. CheckDuplicate is always on."""

    Name: str = ""
    CheckDuplicate: bool = True
    Driver: str = ""
    Scope: str = ""
    EnableIPv4: bool | None = None
    EnableIPv6: bool | None = None
    IPAM: IpamBody | None = None
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    ConfigOnly: bool = False
    ConfigFrom: ConfigSource | None = None
    Options: StringMap = None
    Labels: StringMap = None


class CreatedNetwork(msgspec.Struct):
    Id: str
    Warning: str = ""


class ConnectBody(msgspec.Struct, forbid_unknown_fields=True):
    Container: str = ""
    EndpointConfig: EndpointSettings | None = None


class DisconnectBody(msgspec.Struct, forbid_unknown_fields=True):
    Container: str = ""
    Force: bool = False

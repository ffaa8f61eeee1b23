"""A container's place on a network."""

import msgspec

from scow.api.values import UNSET, Int64, StringList, StringMap, UnsetType


class EndpointIpam(msgspec.Struct, forbid_unknown_fields=True):
    IPv4Address: str | UnsetType = UNSET
    IPv6Address: str | UnsetType = UNSET
    LinkLocalIPs: StringList | UnsetType = UNSET


class EndpointSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Wishes at create, facts in inspect."""

    IPAMConfig: EndpointIpam | None = None
    Links: StringList = None
    Aliases: StringList = None
    MacAddress: str = ""
    NetworkID: str = ""
    EndpointID: str = ""
    Gateway: str = ""
    IPAddress: str = ""
    IPPrefixLen: Int64 = 0
    IPv6Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: Int64 = 0
    DriverOpts: StringMap = None
    DNSNames: StringList = None
    GwPriority: Int64 | UnsetType = UNSET


class NetworkingConfig(msgspec.Struct, forbid_unknown_fields=True):
    EndpointsConfig: dict[str, EndpointSettings | None] | None = None

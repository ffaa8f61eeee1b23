"""Containers as inspect and list show them."""

import msgspec

from scow.api.config import Config as ConfigStruct
from scow.api.endpoint import EndpointSettings
from scow.api.host_config import HostConfig as HostSettings
from scow.api.host_config import PortMap
from scow.api.values import UNSET, UnsetType


class HealthLogEntry(msgspec.Struct):
    Start: str
    End: str
    ExitCode: int
    Output: str


class HealthState(msgspec.Struct):
    Status: str
    FailingStreak: int
    Log: list[HealthLogEntry]


class StateInfo(msgspec.Struct):
    Status: str
    Running: bool
    Paused: bool
    Restarting: bool
    OOMKilled: bool
    Dead: bool
    Pid: int
    ExitCode: int
    Error: str
    StartedAt: str
    FinishedAt: str
    Health: HealthState | UnsetType = UNSET


class GraphDriverInfo(msgspec.Struct):
    Data: dict[str, str] | None
    Name: str


class MountPoint(msgspec.Struct):
    Type: str
    Name: str | UnsetType
    Source: str
    Destination: str
    Driver: str | UnsetType
    Mode: str
    RW: bool
    Propagation: str


class Address(msgspec.Struct):
    Addr: str
    PrefixLen: int


class NetworkInfo(msgspec.Struct):
    Bridge: str = ""
    SandboxID: str = ""
    SandboxKey: str = ""
    Ports: PortMap = None
    HairpinMode: bool = False
    LinkLocalIPv6Address: str = ""
    LinkLocalIPv6PrefixLen: int = 0
    SecondaryIPAddresses: list[Address] | None = None
    SecondaryIPv6Addresses: list[Address] | None = None
    EndpointID: str = ""
    Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: int = 0
    IPAddress: str = ""
    IPPrefixLen: int = 0
    IPv6Gateway: str = ""
    MacAddress: str = ""
    Networks: dict[str, EndpointSettings] | None = None


class Inspect(msgspec.Struct):
    """GET /containers/{id}/json."""

    Id: str
    Created: str
    Path: str
    Args: list[str]
    State: StateInfo
    Image: str
    ResolvConfPath: str
    HostnamePath: str
    HostsPath: str
    LogPath: str
    Name: str
    RestartCount: int
    Driver: str
    Platform: str
    MountLabel: str
    ProcessLabel: str
    AppArmorProfile: str
    ExecIDs: list[str] | None
    HostConfig: HostSettings
    GraphDriver: GraphDriverInfo
    SizeRw: int | UnsetType
    SizeRootFs: int | UnsetType
    Mounts: list[MountPoint]
    Config: ConfigStruct
    NetworkSettings: NetworkInfo


class Port(msgspec.Struct):
    IP: str | UnsetType
    PrivatePort: int
    PublicPort: int | UnsetType
    Type: str


class SummaryHostConfig(msgspec.Struct):
    NetworkMode: str


class SummaryNetworks(msgspec.Struct):
    Networks: dict[str, EndpointSettings]


class Summary(msgspec.Struct):
    """One line of GET /containers/json."""

    Id: str
    Names: list[str]
    Image: str
    ImageID: str
    Command: str
    Created: int
    Ports: list[Port]
    SizeRw: int | UnsetType
    SizeRootFs: int | UnsetType
    Labels: dict[str, str]
    State: str
    Status: str
    HostConfig: SummaryHostConfig
    NetworkSettings: SummaryNetworks
    Mounts: list[MountPoint]


class WaitError(msgspec.Struct):
    Message: str


class Wait(msgspec.Struct):
    StatusCode: int
    Error: WaitError | UnsetType = UNSET


class Top(msgspec.Struct):
    Processes: list[list[str]]
    Titles: list[str]


class Change(msgspec.Struct):
    Kind: int
    Path: str


class PruneContainers(msgspec.Struct):
    ContainersDeleted: list[str] | None
    SpaceReclaimed: int


class Updated(msgspec.Struct):
    """POST /containers/{id}/update."""

    Warnings: list[str] | None

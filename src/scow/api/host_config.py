"""The host configuration: limits, privilege, mounts, network mode."""

import msgspec

from scow.api.values import UNSET, Int64, StringList, StringMap, Uint16, Uint64, UnsetType


class LogSettings(msgspec.Struct, forbid_unknown_fields=True):
    Type: str = ""
    Config: StringMap = None


class PortBinding(msgspec.Struct, forbid_unknown_fields=True):
    HostIp: str = ""
    HostPort: str = ""


PortMap = dict[str, list[PortBinding] | None] | None


class RestartSettings(msgspec.Struct, forbid_unknown_fields=True):
    Name: str = ""
    MaximumRetryCount: Int64 = 0


class WeightDevice(msgspec.Struct, forbid_unknown_fields=True):
    Path: str = ""
    Weight: Uint16 = 0


class ThrottleDevice(msgspec.Struct, forbid_unknown_fields=True):
    Path: str = ""
    Rate: Uint64 = 0


class DeviceMapping(msgspec.Struct, forbid_unknown_fields=True):
    PathOnHost: str = ""
    PathInContainer: str = ""
    CgroupPermissions: str = ""


class DeviceRequest(msgspec.Struct, forbid_unknown_fields=True):
    Driver: str = ""
    Count: Int64 = 0
    DeviceIDs: StringList = None
    Capabilities: list[list[str]] | None = None
    Options: StringMap = None


class Ulimit(msgspec.Struct, forbid_unknown_fields=True):
    Name: str = ""
    Hard: Int64 = 0
    Soft: Int64 = 0


class BindSettings(msgspec.Struct, forbid_unknown_fields=True):
    Propagation: str | UnsetType = UNSET
    NonRecursive: bool | UnsetType = UNSET
    CreateMountpoint: bool | UnsetType = UNSET
    ReadOnlyNonRecursive: bool | UnsetType = UNSET
    ReadOnlyForceRecursive: bool | UnsetType = UNSET


class Driver(msgspec.Struct, forbid_unknown_fields=True):
    Name: str | UnsetType = UNSET
    Options: StringMap | UnsetType = UNSET


class VolumeSettings(msgspec.Struct, forbid_unknown_fields=True):
    NoCopy: bool | UnsetType = UNSET
    Labels: StringMap | UnsetType = UNSET
    Subpath: str | UnsetType = UNSET
    DriverConfig: Driver | None | UnsetType = UNSET


class TmpfsSettings(msgspec.Struct, forbid_unknown_fields=True):
    SizeBytes: Int64 | UnsetType = UNSET
    Mode: Int64 | UnsetType = UNSET
    Options: list[list[str]] | None | UnsetType = UNSET


class Mount(msgspec.Struct, forbid_unknown_fields=True):
    """One --mount."""

    Type: str | UnsetType = UNSET
    Source: str | UnsetType = UNSET
    Target: str | UnsetType = UNSET
    ReadOnly: bool | UnsetType = UNSET
    Consistency: str | UnsetType = UNSET
    BindOptions: BindSettings | None | UnsetType = UNSET
    VolumeOptions: VolumeSettings | None | UnsetType = UNSET
    TmpfsOptions: TmpfsSettings | None | UnsetType = UNSET
    ClusterOptions: dict[str, object] | None | UnsetType = UNSET
    ImageOptions: dict[str, object] | None | UnsetType = UNSET


class HostConfig(msgspec.Struct, forbid_unknown_fields=True):
    """Everything of a container that is the host's business."""

    Binds: StringList = None
    ContainerIDFile: str = ""
    LogConfig: LogSettings = msgspec.field(default_factory=LogSettings)
    NetworkMode: str = ""
    PortBindings: PortMap = None
    RestartPolicy: RestartSettings = msgspec.field(default_factory=RestartSettings)
    AutoRemove: bool = False
    VolumeDriver: str = ""
    VolumesFrom: StringList = None
    ConsoleSize: list[Uint64] = msgspec.field(default_factory=lambda: [0, 0])
    Annotations: StringMap | UnsetType = UNSET
    CapAdd: StringList = None
    CapDrop: StringList = None
    CgroupnsMode: str = ""
    Dns: StringList = None
    DnsOptions: StringList = None
    DnsSearch: StringList = None
    ExtraHosts: StringList = None
    GroupAdd: StringList = None
    IpcMode: str = ""
    Cgroup: str = ""
    Links: StringList = None
    OomScoreAdj: Int64 = 0
    PidMode: str = ""
    Privileged: bool = False
    PublishAllPorts: bool = False
    ReadonlyRootfs: bool = False
    SecurityOpt: StringList = None
    StorageOpt: StringMap | UnsetType = UNSET
    Tmpfs: StringMap | UnsetType = UNSET
    UTSMode: str = ""
    UsernsMode: str = ""
    ShmSize: Int64 = 0
    Sysctls: StringMap | UnsetType = UNSET
    Runtime: str = ""
    Isolation: str = ""
    CpuShares: Int64 = 0
    Memory: Int64 = 0
    NanoCpus: Int64 = 0
    CgroupParent: str = ""
    BlkioWeight: Uint16 = 0
    BlkioWeightDevice: list[WeightDevice] | None = None
    BlkioDeviceReadBps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteBps: list[ThrottleDevice] | None = None
    BlkioDeviceReadIOps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteIOps: list[ThrottleDevice] | None = None
    CpuPeriod: Int64 = 0
    CpuQuota: Int64 = 0
    CpuRealtimePeriod: Int64 = 0
    CpuRealtimeRuntime: Int64 = 0
    CpusetCpus: str = ""
    CpusetMems: str = ""
    Devices: list[DeviceMapping] | None = None
    DeviceCgroupRules: StringList = None
    DeviceRequests: list[DeviceRequest] | None = None
    KernelMemory: Int64 | UnsetType = UNSET
    KernelMemoryTCP: Int64 | UnsetType = UNSET
    MemoryReservation: Int64 = 0
    MemorySwap: Int64 = 0
    MemorySwappiness: Int64 | None = None
    OomKillDisable: bool | None = None
    PidsLimit: Int64 | None = None
    Ulimits: list[Ulimit] | None = None
    CpuCount: Int64 = 0
    CpuPercent: Int64 = 0
    IOMaximumIOps: Uint64 = 0
    IOMaximumBandwidth: Uint64 = 0
    Mounts: list[Mount] | None | UnsetType = UNSET
    MaskedPaths: StringList = None
    ReadonlyPaths: StringList = None
    Init: bool | None | UnsetType = UNSET
    HealthOnFailure: str | UnsetType = UNSET
    """scow's own: what happens to the container when it becomes unhealthy (none, kill, restart, stop)."""

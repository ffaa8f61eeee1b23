"""Version, info, events, disk usage."""

import msgspec

from scow.api.container import Summary
from scow.api.image import ImageSummary
from scow.api.values import UNSET, UnsetType
from scow.api.volume import Volume


class Named(msgspec.Struct):
    Name: str


class Component(msgspec.Struct):
    Name: str
    Version: str
    Details: dict[str, str] | None


class VersionInfo(msgspec.Struct):
    """GET /version."""

    Platform: Named
    Components: list[Component]
    Version: str
    ApiVersion: str
    MinAPIVersion: str
    GitCommit: str
    GoVersion: str
    Os: str
    Arch: str
    KernelVersion: str
    BuildTime: str


class PluginLists(msgspec.Struct):
    Volume: list[str]
    Network: list[str]
    Authorization: list[str] | None
    Log: list[str]


class IndexConfig(msgspec.Struct):
    Name: str
    Mirrors: list[str]
    Secure: bool
    Official: bool


class RegistrySettings(msgspec.Struct):
    AllowNondistributableArtifactsCIDRs: list[str] | None
    AllowNondistributableArtifactsHostnames: list[str] | None
    InsecureRegistryCIDRs: list[str]
    IndexConfigs: dict[str, IndexConfig]
    Mirrors: list[str] | None


class Runtime(msgspec.Struct):
    path: str
    runtimeArgs: list[str] | UnsetType = UNSET
    status: dict[str, str] | UnsetType = UNSET


class SwarmInfo(msgspec.Struct):
    NodeID: str = ""
    NodeAddr: str = ""
    LocalNodeState: str = "inactive"
    ControlAvailable: bool = False
    Error: str = ""
    RemoteManagers: list[str] | None = None


class Commit(msgspec.Struct):
    ID: str
    Expected: str


class Info(msgspec.Struct):
    """GET /info."""

    ID: str
    Containers: int
    ContainersRunning: int
    ContainersPaused: int
    ContainersStopped: int
    Images: int
    Driver: str
    DriverStatus: list[list[str]]
    Plugins: PluginLists
    MemoryLimit: bool
    SwapLimit: bool
    KernelMemoryTCP: bool | UnsetType
    CpuCfsPeriod: bool
    CpuCfsQuota: bool
    CPUShares: bool
    CPUSet: bool
    PidsLimit: bool
    IPv4Forwarding: bool
    BridgeNfIptables: bool
    BridgeNfIp6tables: bool
    Debug: bool
    NFd: int
    OomKillDisable: bool
    NGoroutines: int
    SystemTime: str
    LoggingDriver: str
    CgroupDriver: str
    CgroupVersion: str | UnsetType
    NEventsListener: int
    KernelVersion: str
    OperatingSystem: str
    OSVersion: str
    OSType: str
    Architecture: str
    IndexServerAddress: str
    RegistryConfig: RegistrySettings
    NCPU: int
    MemTotal: int
    GenericResources: list[object] | None
    DockerRootDir: str
    HttpProxy: str
    HttpsProxy: str
    NoProxy: str
    Name: str
    Labels: list[str]
    ExperimentalBuild: bool
    ServerVersion: str
    Runtimes: dict[str, Runtime]
    DefaultRuntime: str
    Swarm: SwarmInfo
    LiveRestoreEnabled: bool
    Isolation: str
    InitBinary: str
    ContainerdCommit: Commit
    RuncCommit: Commit
    InitCommit: Commit
    SecurityOptions: list[str]
    ProductLicense: str | UnsetType
    CDISpecDirs: list[str]
    Warnings: list[str] | None
    HostChanges: list[str] | UnsetType = UNSET  # scow's own


class EventActor(msgspec.Struct):
    ID: str
    Attributes: dict[str, str]


class EventMessage(msgspec.Struct):
    """One line of GET /events. The first three are repeated for old clients (containers and images only)."""

    status: str | UnsetType
    id: str | UnsetType
    from_: str | UnsetType = msgspec.field(name="from")
    Type: str = ""
    Action: str = ""
    Actor: EventActor = msgspec.field(default_factory=lambda: EventActor("", {}))
    scope: str = "local"
    time: int = 0
    timeNano: int = 0


class BuildCacheItem(msgspec.Struct):
    """One thing in the build cache."""

    ID: str
    Parents: list[str] | UnsetType
    Type: str
    Description: str
    InUse: bool
    Shared: bool
    Size: int
    CreatedAt: str
    LastUsedAt: str | None
    UsageCount: int


class PruneBuilds(msgspec.Struct):
    """POST /build/prune."""

    CachesDeleted: list[str] | None
    SpaceReclaimed: int


class DiskUsage(msgspec.Struct):
    """GET /system/df."""

    LayersSize: int
    Images: list[ImageSummary] | None
    Containers: list[Summary] | None
    Volumes: list[Volume] | None
    BuildCache: list[BuildCacheItem] | None


class Message(msgspec.Struct):
    """The body of every error."""

    message: str


class CheckFinding(msgspec.Struct):
    Problem: str
    Kind: str
    Name: str
    Images: list[str]
    Detail: str
    Remedy: str
    Failure: str


class CheckAnswer(msgspec.Struct):
    """POST /scow/system/check."""

    Blobs: int
    Layers: int
    Findings: list[CheckFinding]

"""Views of the daemon's answers with the Go types that Docker's CLI gives them, for `inspect -f`.

A type is one line of `_TYPES`: `GoName:JsonName type?`. `?` means that a zero value is left out of JSON; the JSON name may
be missing when it is the Go name. Types: s string, i integer, d duration, b bool, t time, any; `[]x`, `{x}` map of
strings, `{Key/x}` map with a named key type, `*x`, and the names of other lines.
"""

from __future__ import annotations

from scow.cli.template.values import Duration, Int64, Map, Number, Pointer, Raw, Slice, Struct, Time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {
    "Container": "ID:Id s, Created s, Path s, Args []s, State *State, Image s, ResolvConfPath s, HostnamePath s,"
    " HostsPath s, LogPath s, Name s, RestartCount i, Driver s, Platform s, MountLabel s, ProcessLabel s,"
    " AppArmorProfile s, ExecIDs []s, HostConfig *HostConfig, GraphDriver GraphDriver, SizeRw *i?, SizeRootFs *i?,"
    " Mounts []MountPoint, Config *Config, NetworkSettings *NetworkSettings, ImageManifestDescriptor *Descriptor?",
    "State": "Status s, Running b, Paused b, Restarting b, OOMKilled b, Dead b, Pid i, ExitCode i, Error s, StartedAt s,"
    " FinishedAt s, Health *Health?",
    "Health": "Status s, FailingStreak i, Log []*HealthcheckResult",
    "HealthcheckResult": "Start t, End t, ExitCode i, Output s",
    "HostConfig": "Binds []s, ContainerIDFile s, LogConfig LogConfig, NetworkMode s, PortBindings {nat.Port/[]PortBinding},"
    " RestartPolicy RestartPolicy, AutoRemove b, VolumeDriver s, VolumesFrom []s, ConsoleSize []i, Annotations {s}?,"
    " CapAdd []s, CapDrop []s, CgroupnsMode s, DNS:Dns []s, DNSOptions:DnsOptions []s, DNSSearch:DnsSearch []s,"
    " ExtraHosts []s, GroupAdd []s, IpcMode s, Cgroup s, Links []s, OomScoreAdj i, PidMode s, Privileged b,"
    " PublishAllPorts b, ReadonlyRootfs b, SecurityOpt []s, StorageOpt {s}?, Tmpfs {s}?, UTSMode s, UsernsMode s,"
    " ShmSize i, Sysctls {s}?, Runtime s?, Isolation s, CPUShares:CpuShares i, Memory i, NanoCPUs:NanoCpus i,"
    " CgroupParent s, BlkioWeight i, BlkioWeightDevice []*WeightDevice, BlkioDeviceReadBps []*ThrottleDevice,"
    " BlkioDeviceWriteBps []*ThrottleDevice, BlkioDeviceReadIOps []*ThrottleDevice,"
    " BlkioDeviceWriteIOps []*ThrottleDevice, CPUPeriod:CpuPeriod i, CPUQuota:CpuQuota i,"
    " CPURealtimePeriod:CpuRealtimePeriod i, CPURealtimeRuntime:CpuRealtimeRuntime i, CpusetCpus s, CpusetMems s,"
    " Devices []DeviceMapping, DeviceCgroupRules []s, DeviceRequests []DeviceRequest, KernelMemory i?, KernelMemoryTCP i?,"
    " MemoryReservation i, MemorySwap i, MemorySwappiness *i, OomKillDisable *b, PidsLimit *i, Ulimits []*Ulimit,"
    " CPUCount:CpuCount i, CPUPercent:CpuPercent i, IOMaximumIOps i, IOMaximumBandwidth i, Mounts []Mount?,"
    " MaskedPaths []s, ReadonlyPaths []s, Init *b?, HealthOnFailure s?",
    "LogConfig": "Type s, Config {s}",
    "PortBinding": "HostIP:HostIp s, HostPort s",
    "RestartPolicy": "Name s, MaximumRetryCount i",
    "WeightDevice": "Path s, Weight i",
    "ThrottleDevice": "Path s, Rate i",
    "DeviceMapping": "PathOnHost s, PathInContainer s, CgroupPermissions s",
    "DeviceRequest": "Driver s, Count i, DeviceIDs []s, Capabilities any, Options {s}",
    "Ulimit": "Name s, Hard i, Soft i",
    "Mount": "Type s?, Source s?, Target s?, ReadOnly b?, Consistency s?, BindOptions *BindOptions?,"
    " VolumeOptions *VolumeOptions?, ImageOptions any?, TmpfsOptions *TmpfsOptions?",
    "BindOptions": "Propagation s?, NonRecursive b?, CreateMountpoint b?, ReadOnlyNonRecursive b?, ReadOnlyForceRecursive b?",
    "VolumeOptions": "NoCopy b?, Labels {s}?, Subpath s?, DriverConfig *Driver?",
    "Driver": "Name s?, Options {s}?",
    "TmpfsOptions": "SizeBytes i?, Mode i?, Options any?",
    "GraphDriver": "Data {s}, Name s",
    "MountPoint": "Type s?, Name s?, Source s, Destination s, Driver s?, Mode s, RW b, Propagation s",
    "Config": "Hostname s, Domainname s, User s, AttachStdin b, AttachStdout b, AttachStderr b,"
    " ExposedPorts {nat.Port/Empty}?, Tty b, OpenStdin b, StdinOnce b, Env []s, Cmd []s, Healthcheck *Healthcheck?,"
    " ArgsEscaped b?, Image s, Volumes {Empty}, WorkingDir s, Entrypoint []s, NetworkDisabled b?, MacAddress s?,"
    " OnBuild []s, Labels {s}, StopSignal s?, StopTimeout *i?, Shell []s?",
    "Empty": "",
    "Healthcheck": "Test []s?, Interval d?, Timeout d?, StartPeriod d?, StartInterval d?, Retries i?",
    "NetworkSettings": "Bridge s, SandboxID s, SandboxKey s, Ports {nat.Port/[]PortBinding}, HairpinMode b,"
    " LinkLocalIPv6Address s, LinkLocalIPv6PrefixLen i, SecondaryIPAddresses []Address, SecondaryIPv6Addresses []Address,"
    " EndpointID s, Gateway s, GlobalIPv6Address s, GlobalIPv6PrefixLen i, IPAddress s, IPPrefixLen i, IPv6Gateway s,"
    " MacAddress s, Networks {*EndpointSettings}",
    "Address": "Addr s, PrefixLen i",
    "EndpointSettings": "IPAMConfig *EndpointIPAMConfig, Links []s, Aliases []s, MacAddress s, DriverOpts {s},"
    " GwPriority i, NetworkID s, EndpointID s, Gateway s, IPAddress s, IPPrefixLen i, IPv6Gateway s,"
    " GlobalIPv6Address s, GlobalIPv6PrefixLen i, DNSNames []s",
    "EndpointIPAMConfig": "IPv4Address s?, IPv6Address s?, LinkLocalIPs []s?",
    "Descriptor": "MediaType:mediaType s?, Digest:digest s?, Size:size i?, Annotations:annotations {s}?,"
    " Platform:platform any?",
    "Image": "ID:Id s, RepoTags []s, RepoDigests []s, Parent s, Comment s, Created s?, DockerVersion s, Author s,"
    " Config *ImageConfig, Architecture s, Variant s?, Os s, OsVersion s?, Size i, VirtualSize i?, GraphDriver GraphDriver,"
    " RootFS RootFS, Metadata Metadata, Descriptor *Descriptor?",
    "ImageConfig": "User s?, ExposedPorts {Empty}?, Env []s?, Entrypoint []s?, Cmd []s?, Volumes {Empty}?, WorkingDir s?,"
    " Labels {s}?, StopSignal s?, ArgsEscaped b?, Healthcheck *Healthcheck?, OnBuild []s?, Shell []s?",
    "RootFS": "Type s?, Layers []s?",
    "Metadata": "LastTagTime t?",
    "Volume": "ClusterVolume any?, CreatedAt s?, Driver s, Labels {s}, Mountpoint s, Name s, Options {s}, Scope s,"
    " Status any?, UsageData *UsageData?",
    "UsageData": "RefCount i, Size i",
    "Network": "Name s, ID:Id s, Created t, Scope s, Driver s, EnableIPv4 b, EnableIPv6 b, IPAM IPAM, Internal b,"
    " Attachable b, Ingress b, ConfigFrom ConfigReference, ConfigOnly b, Containers {EndpointResource}, Options {s},"
    " Labels {s}, Peers any?, Services any?",
    "Event": "Status:status s?, ID:id s?, From:from s?, Type s, Action s, Actor Actor, Scope:scope s?, Time:time i?,"
    " TimeNano:timeNano i?",
    "Actor": "ID s, Attributes {s}",
    "IPAM": "Driver s, Options {s}, Config []IPAMConfig",
    "IPAMConfig": "Subnet s?, IPRange s?, Gateway s?, AuxAddress:AuxiliaryAddresses {s}?",
    "ConfigReference": "Network s",
    "EndpointResource": "Name s, EndpointID s, MacAddress s, IPv4Address s, IPv6Address s",
}

_PACKAGES = {
    "Container": "container.InspectResponse",
    "Event": "events.Message",
    "Image": "image.InspectResponse",
    "Volume": "volume.Volume",
    "Network": "network.Inspect",
}
_EMBEDDED = frozenset(("ContainerJSONBase", "DefaultNetworkSettings", "NetworkSettingsBase", "Resources"))
_GO_NAMES = {"s": "string", "i": "int64", "d": "time.Duration", "b": "bool", "t": "time.Time", "any": "interface {}"}


class _Field:
    __slots__ = ("go", "json", "omit", "type")

    def __init__(self, text: str) -> None:
        name, _, kind = text.partition(" ")
        self.go, _, json = name.partition(":")
        self.json = json or self.go
        self.omit = kind.endswith("?")
        self.type = kind.removesuffix("?")


_parsed: dict[str, list[_Field]] = {}


def _fields(name: str) -> list[_Field]:
    fields = _parsed.get(name)
    if fields is None:
        spec = _TYPES[name]
        fields = _parsed[name] = [_Field(part.strip()) for part in spec.split(",")] if spec else []
    return fields


class View(Struct):
    """A decoded JSON object seen as one of the types above."""

    def __init__(self, type_name: str, data: Mapping[str, object]) -> None:
        self.name = _PACKAGES.get(type_name, "container." + type_name)
        self._type = type_name
        self._data = data

    def field(self, name: str) -> object:
        if name in _EMBEDDED:
            return self
        for field in _fields(self._type):
            if field.go == name:
                return _typed(self._data.get(field.json), field.type)
        raise KeyError(name)

    def values(self) -> list[object]:
        return [_typed(self._data.get(field.json), field.type) for field in _fields(self._type)]

    def members(self) -> list[tuple[str, object]]:
        out = []
        known = set()
        for field in _fields(self._type):
            known.add(field.json)
            value = _typed(self._data.get(field.json), field.type)
            if not (field.omit and _is_zero(value)):
                out.append((field.json, value))
        if self._type != "ImageConfig":  # what a newer daemon adds is shown too
            out += [(key, value) for key, value in self._data.items() if key not in known]
        return out


def _is_zero(value: object) -> bool:
    if isinstance(value, Pointer):
        return value.target is None
    return value is None or value is False or value == 0 or (isinstance(value, str | list | dict) and not value)


def _typed(value: object, kind: str) -> object:
    if kind == "any":
        return value
    if kind[0] == "*":
        return Pointer(None if value is None else _typed(value, kind[1:]), _go_name(kind[1:]))
    if kind.startswith("[]"):
        items = value if isinstance(value, list) else []
        return Slice([_typed(item, kind[2:]) for item in items], _go_name(kind[2:]), not isinstance(value, list))
    if kind[0] == "{":
        key, slash, element = kind[1:-1].rpartition("/")
        pairs = value if isinstance(value, dict) else {}
        zero = _typed(None, element) if element[0] != "*" else Pointer(None, _go_name(element[1:]))
        converted = {name: _typed(item, element) for name, item in pairs.items()}
        return Map(converted, zero, key if slash else "string", not isinstance(value, dict))
    if kind == "s":
        return str(value) if isinstance(value, str) else ""
    if kind == "i":
        return Int64(value if isinstance(value, Number) and value.lstrip("-").isdigit() else 0)
    if kind == "d":
        return Duration(value if isinstance(value, Number) and value.lstrip("-").isdigit() else 0)
    if kind == "b":
        return value is True
    if kind == "t":
        return Time(str(value) if isinstance(value, str) else "0001-01-01T00:00:00Z")
    return View(kind, value if isinstance(value, dict) else Raw())


def pointer_to(kind: str, data: Mapping[str, object]) -> Pointer:
    """A pointer to a view, as the roots of templates are."""
    return Pointer(View(kind, data), _go_name(kind))


def _go_name(kind: str) -> str:
    if kind.startswith("[]"):
        return "[]" + _go_name(kind[2:])
    if kind[0] == "*":
        return "*" + _go_name(kind[1:])
    return _GO_NAMES.get(kind) or _PACKAGES.get(kind) or "container." + kind

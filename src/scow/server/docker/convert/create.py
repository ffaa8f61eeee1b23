"""A create request: wire to domain."""

from collections.abc import Iterable

from msgspec import UNSET

from scow.api.config import Config, Health
from scow.api.create import CreateBody, ExecBody
from scow.api.endpoint import EndpointSettings, NetworkingConfig
from scow.api.host_config import HostConfig as WireHost
from scow.engine.containers.create import CreateRequest
from scow.errors import InvalidArgument
from scow.model.container import (
    ContainerConfig,
    Device,
    HealthCheck,
    HostConfig,
    LogConfig,
    Resources,
    RestartPolicy,
    Ulimit,
)
from scow.model.execution import ExecConfig
from scow.model.mounts import MountRequest
from scow.model.network import EndpointWish
from scow.model.ports import Port
from scow.server.docker.convert import fields, mounts, ports

# List fields that inspect shows as [] when the client gave [], and as null when it gave nothing.
REMEMBERED_EMPTY = (
    "Binds", "CapAdd", "CapDrop", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd", "Links", "SecurityOpt",
    "VolumesFrom", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps", "Devices", "DeviceCgroupRules", "DeviceRequests", "Ulimits", "PortBindings",
)  # fmt: skip


def to_request(body: CreateBody, name: str, platform: str) -> CreateRequest:
    """Every field of `body` has its place in the request, or is refused by name (see `fields`)."""
    host = body.HostConfig or WireHost()
    bindings_exposed: tuple[Port, ...] = ports.parse_bindings(host.PortBindings)[1]
    return CreateRequest(
        name=name,
        config=to_config(body, bindings_exposed),
        host=to_host(host),
        platform=platform,
        networking=to_networking(body.NetworkingConfig),
    )


def words(value: list[str] | str | None) -> tuple[str, ...] | None:
    """A command: a list, or one string."""
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def to_config(wire: Config, exposed: Iterable[Port] = ()) -> ContainerConfig:
    """The process side."""
    return ContainerConfig(
        image=wire.Image,
        hostname=wire.Hostname,
        domainname=wire.Domainname,
        user=wire.User,
        attach_stdin=wire.AttachStdin,
        attach_stdout=wire.AttachStdout,
        attach_stderr=wire.AttachStderr,
        tty=wire.Tty,
        open_stdin=wire.OpenStdin,
        stdin_once=wire.StdinOnce,
        env=tuple(wire.Env or ()),
        cmd=words(wire.Cmd),
        entrypoint=words(wire.Entrypoint),
        working_dir=wire.WorkingDir,
        labels=dict(wire.Labels or {}),
        exposed_ports=tuple(dict.fromkeys((*ports.parse_exposed(wire.ExposedPorts or None), *exposed))),
        volumes=tuple(wire.Volumes or ()),
        stop_signal=wire.StopSignal or "",
        stop_timeout=None if wire.StopTimeout is UNSET else wire.StopTimeout,
        healthcheck=_health(wire.Healthcheck or None),
        on_build=tuple(wire.OnBuild or ()),
        shell=tuple(wire.Shell or ()),
        network_disabled=bool(wire.NetworkDisabled),
        mac_address=wire.MacAddress or "",
        args_escaped=bool(wire.ArgsEscaped),
    )


def _health(wire: Health | None) -> HealthCheck | None:
    if wire is None:
        return None
    return HealthCheck(
        test=tuple(wire.Test or ()),
        interval=wire.Interval or 0,
        timeout=wire.Timeout or 0,
        start_period=wire.StartPeriod or 0,
        start_interval=wire.StartInterval or 0,
        retries=wire.Retries or 0,
    )


def to_host(wire: WireHost) -> HostConfig:
    """The host side."""
    fields.refuse(wire, fields.HOST_REFUSED, "HostConfig", fields.HOST_ALSO_DEFAULT)
    if len(wire.ConsoleSize) not in (0, 2) or any(side > 0xFFFF for side in wire.ConsoleSize):
        raise InvalidArgument(f"invalid HostConfig.ConsoleSize {wire.ConsoleSize}: want height and width")
    size = wire.ConsoleSize or [0, 0]
    return HostConfig(
        mounts=_mounts(wire),
        binds=None if wire.Binds is None else tuple(wire.Binds),
        volumes_from=tuple(wire.VolumesFrom or ()),
        container_id_file=wire.ContainerIDFile,
        log=LogConfig(wire.LogConfig.Type, dict(wire.LogConfig.Config or {})),
        network_mode=wire.NetworkMode or "default",
        port_bindings=ports.parse_bindings(wire.PortBindings)[0],
        publish_all_ports=wire.PublishAllPorts,
        restart_policy=RestartPolicy(wire.RestartPolicy.Name or "no", wire.RestartPolicy.MaximumRetryCount),
        auto_remove=wire.AutoRemove,
        console_size=(size[0], size[1]),
        cap_add=tuple(wire.CapAdd or ()),
        cap_drop=tuple(wire.CapDrop or ()),
        privileged=wire.Privileged,
        read_only_rootfs=wire.ReadonlyRootfs,
        security_opt=tuple(wire.SecurityOpt or ()),
        ulimits=tuple(Ulimit(limit.Name, limit.Soft, limit.Hard) for limit in wire.Ulimits or ()),
        resources=to_resources(wire),
        devices=tuple(
            Device(d.PathOnHost, d.PathInContainer or d.PathOnHost, d.CgroupPermissions or "rwm")
            for d in wire.Devices or ()
        ),
        device_cgroup_rules=tuple(wire.DeviceCgroupRules or ()),
        init=None if wire.Init is UNSET else wire.Init,
        dns=tuple(wire.Dns or ()),
        dns_search=tuple(wire.DnsSearch or ()),
        dns_options=tuple(wire.DnsOptions or ()),
        extra_hosts=tuple(wire.ExtraHosts or ()),
        group_add=tuple(wire.GroupAdd or ()),
        pid_mode=wire.PidMode,
        ipc_mode=wire.IpcMode,
        uts_mode=wire.UTSMode,
        userns_mode=wire.UsernsMode,
        cgroupns_mode=wire.CgroupnsMode,
        cgroup_parent=wire.CgroupParent,
        shm_size=wire.ShmSize,
        sysctls=dict(wire.Sysctls or {}),
        oom_score_adj=wire.OomScoreAdj,
        masked_paths=None if wire.MaskedPaths is None else tuple(wire.MaskedPaths),
        read_only_paths=None if wire.ReadonlyPaths is None else tuple(wire.ReadonlyPaths),
        runtime=wire.Runtime,
        annotations=dict(wire.Annotations or {}),
        links=tuple(wire.Links or ()),
        health_on_failure=wire.HealthOnFailure or "",
        shown_empty=tuple(name for name in REMEMBERED_EMPTY if getattr(wire, name) in ([], {})),
    )


def _mounts(wire: WireHost) -> tuple[MountRequest, ...]:
    return (
        *(mounts.parse_bind(spec, wire.VolumeDriver) for spec in wire.Binds or ()),
        *(mounts.parse_mount(mount) for mount in wire.Mounts or ()),
        *mounts.parse_tmpfs(wire.Tmpfs or {}),
    )


def to_resources(wire: WireHost) -> Resources:
    """The limits."""
    swappiness, pids = wire.MemorySwappiness, wire.PidsLimit
    return Resources(
        memory=wire.Memory,
        memory_reservation=wire.MemoryReservation,
        memory_swap=wire.MemorySwap,
        memory_swappiness=None if swappiness == -1 else swappiness,  # the docker CLI's "not given"
        oom_kill_disable=bool(wire.OomKillDisable),
        nano_cpus=wire.NanoCpus,
        cpu_shares=wire.CpuShares,
        cpu_period=wire.CpuPeriod,
        cpu_quota=wire.CpuQuota,
        cpuset_cpus=wire.CpusetCpus,
        cpuset_mems=wire.CpusetMems,
        pids_limit=None if pids is not None and pids <= 0 else pids,
        blkio_weight=wire.BlkioWeight,
    )


def to_networking(wire: NetworkingConfig | None) -> dict[str, EndpointWish]:
    """Wishes for endpoints, by network."""
    wishes: dict[str, EndpointWish] = {}
    for name, settings in ((wire and wire.EndpointsConfig) or {}).items():
        if settings is None:
            raise InvalidArgument(f"invalid config for network {name}: EndpointsConfig is nil")
        wishes[name] = to_endpoint(name, settings)
    return wishes


def to_endpoint(network: str, wire: EndpointSettings) -> EndpointWish:
    """What is wished of a place on one network."""
    fields.refuse(wire, fields.ENDPOINT_REFUSED, f"EndpointsConfig.{network}")
    address = address6 = ""
    if wire.IPAMConfig is not None:
        fields.refuse(wire.IPAMConfig, fields.IPAM_REFUSED, f"EndpointsConfig.{network}.IPAMConfig")
        address, address6 = wire.IPAMConfig.IPv4Address or "", wire.IPAMConfig.IPv6Address or ""
    return EndpointWish(
        network,
        ipv4=address,
        ipv6=address6,
        mac_address=wire.MacAddress,
        aliases=tuple(wire.Aliases or ()),
        gw_priority=0 if wire.GwPriority is UNSET else wire.GwPriority,
        links=tuple(wire.Links or ()),
    )


def to_exec(wire: ExecBody) -> ExecConfig:
    """POST /containers/{id}/exec."""
    return ExecConfig(
        cmd=words(wire.Cmd) or (),
        user=wire.User,
        tty=wire.Tty,
        attach_stdin=wire.AttachStdin,
        attach_stdout=wire.AttachStdout,
        attach_stderr=wire.AttachStderr,
        env=tuple(wire.Env or ()),
        working_dir=wire.WorkingDir,
        privileged=wire.Privileged,
        detach_keys=wire.DetachKeys,
    )

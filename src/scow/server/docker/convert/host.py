"""The host configuration: domain to wire, as inspect and hostconfig.json have it."""

from collections.abc import Iterable
from typing import TypeVar

from scow.api.host_config import DeviceMapping, LogSettings, RestartSettings
from scow.api.host_config import HostConfig as WireHost
from scow.api.host_config import Ulimit as WireUlimit
from scow.engine.spec.security import MASKED, READ_ONLY
from scow.model.container import HostConfig
from scow.server.docker.convert import mounts, ports

T = TypeVar("T")


def show_host(host: HostConfig) -> WireHost:
    """What was asked for, defaults filled in."""
    resources = host.resources

    def given(name: str, values: Iterable[T]) -> list[T] | None:
        found = list(values)
        return found if found or name in host.shown_empty else None

    wire = WireHost(
        Binds=None if host.binds is None else list(host.binds),
        ContainerIDFile=host.container_id_file,
        LogConfig=LogSettings(host.log.driver, host.log.options),
        NetworkMode="bridge" if host.network_mode == "default" else host.network_mode,
        PortBindings=ports.show_bindings(host.port_bindings) or ({} if "PortBindings" in host.shown_empty else None),
        RestartPolicy=RestartSettings(host.restart_policy.name, host.restart_policy.maximum_retry_count),
        AutoRemove=host.auto_remove,
        VolumeDriver=next((wish.driver for wish in host.mounts if wish.origin == "bind" and wish.driver), ""),
        VolumesFrom=given("VolumesFrom", host.volumes_from),
        ConsoleSize=list(host.console_size),
        CapAdd=given("CapAdd", host.cap_add),
        CapDrop=given("CapDrop", host.cap_drop),
        CgroupnsMode=host.cgroupns_mode,
        Dns=given("Dns", host.dns),
        DnsOptions=given("DnsOptions", host.dns_options),
        DnsSearch=given("DnsSearch", host.dns_search),
        ExtraHosts=given("ExtraHosts", host.extra_hosts),
        GroupAdd=given("GroupAdd", host.group_add),
        IpcMode=host.ipc_mode,
        Links=given("Links", host.links),
        OomScoreAdj=host.oom_score_adj,
        PidMode=host.pid_mode,
        Privileged=host.privileged,
        PublishAllPorts=host.publish_all_ports,
        ReadonlyRootfs=host.read_only_rootfs,
        SecurityOpt=given("SecurityOpt", host.security_opt),
        UTSMode=host.uts_mode,
        UsernsMode=host.userns_mode,
        ShmSize=host.shm_size,
        Runtime=host.runtime,
        CpuShares=resources.cpu_shares,
        Memory=resources.memory,
        NanoCpus=resources.nano_cpus,
        CgroupParent=host.cgroup_parent,
        BlkioWeight=resources.blkio_weight,
        BlkioWeightDevice=given("BlkioWeightDevice", ()),
        BlkioDeviceReadBps=given("BlkioDeviceReadBps", ()),
        BlkioDeviceWriteBps=given("BlkioDeviceWriteBps", ()),
        BlkioDeviceReadIOps=given("BlkioDeviceReadIOps", ()),
        BlkioDeviceWriteIOps=given("BlkioDeviceWriteIOps", ()),
        CpuPeriod=resources.cpu_period,
        CpuQuota=resources.cpu_quota,
        CpusetCpus=resources.cpuset_cpus,
        CpusetMems=resources.cpuset_mems,
        Devices=given("Devices", (DeviceMapping(d.source, d.target, d.permissions) for d in host.devices)),
        DeviceCgroupRules=given("DeviceCgroupRules", host.device_cgroup_rules),
        DeviceRequests=given("DeviceRequests", ()),
        MemoryReservation=resources.memory_reservation,
        MemorySwap=resources.memory_swap,
        MemorySwappiness=resources.memory_swappiness,
        OomKillDisable=resources.oom_kill_disable,
        PidsLimit=resources.pids_limit,
        Ulimits=given("Ulimits", (WireUlimit(limit.name, limit.hard, limit.soft) for limit in host.ulimits)),
        MaskedPaths=_paths(host, host.masked_paths, MASKED),
        ReadonlyPaths=_paths(host, host.read_only_paths, READ_ONLY),
    )
    _show_optional(host, wire)
    return wire


def _paths(host: HostConfig, given: tuple[str, ...] | None, default: tuple[str, ...]) -> list[str] | None:
    if given is not None:
        return list(given)
    return None if host.privileged else list(default)


def _show_optional(host: HostConfig, wire: WireHost) -> None:
    """Fields that are left out when empty."""
    if host.annotations:
        wire.Annotations = host.annotations
    if host.sysctls:
        wire.Sysctls = host.sysctls
    if host.health_on_failure:
        wire.HealthOnFailure = host.health_on_failure
    if host.init is not None:
        wire.Init = host.init
    tmpfs = {wish.target: ",".join(wish.options) for wish in host.mounts if wish.origin == "tmpfs"}
    if tmpfs:
        wire.Tmpfs = tmpfs
    wishes = [mounts.show_mount(wish) for wish in host.mounts if wish.origin == "mount"]
    if wishes:
        wire.Mounts = wishes

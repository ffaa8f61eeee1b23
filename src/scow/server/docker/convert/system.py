"""Version and info: domain to wire."""

import json
import platform

from scow.api import system as wire
from scow.api.values import UNSET
from scow.engine.builds.cache import CacheItem
from scow.engine.system import SystemInfo
from scow.model.runtime import NATIVE
from scow.server.docker.convert.times import rfc3339
from scow.server.docker.version import MAXIMUM_TEXT, MINIMUM_TEXT

_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
_FEATURES = "org.opencontainers.runtime-spec.features"
_RUNC_COMMIT = "org.opencontainers.runc.commit"
_INDEX = "https://index.docker.io/v1/"


def show_version(version: str, kernel: str, machine: str) -> wire.VersionInfo:
    """GET /version. Fields about Go tell of Python."""
    arch = _GO_NAMES.get(machine, machine)
    language = f"python{platform.python_version()}"
    details = {
        "ApiVersion": MAXIMUM_TEXT,
        "Arch": arch,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": language,
        "KernelVersion": kernel,
        "MinAPIVersion": MINIMUM_TEXT,
        "Os": "linux",
    }
    return wire.VersionInfo(
        Platform=wire.Named("scow"),
        Components=[wire.Component("Engine", version, details)],
        Version=version,
        ApiVersion=MAXIMUM_TEXT,
        MinAPIVersion=MINIMUM_TEXT,
        GitCommit="",
        GoVersion=language,
        Os="linux",
        Arch=arch,
        KernelVersion=kernel,
        BuildTime="",
    )


def _registries(info: SystemInfo) -> wire.RegistrySettings:
    ranges = ["127.0.0.0/8", *(name for name in info.insecure_registries if "/" in name)]
    index = {"docker.io": wire.IndexConfig("docker.io", list(info.registry_mirrors), True, True)}
    for name in info.insecure_registries:
        if "/" not in name:
            index[name] = wire.IndexConfig(name, [], False, False)
    return wire.RegistrySettings(None, None, ranges, index, list(info.registry_mirrors) or None)


def _runtimes(info: SystemInfo) -> dict[str, wire.Runtime]:
    shown = {NATIVE: wire.Runtime(NATIVE)}
    for name, runtime in info.runtimes.items():
        told = info.runtime_features.get(name)
        shown[name] = wire.Runtime(
            runtime.path,
            list(runtime.arguments) or UNSET,
            UNSET if told is None else {_FEATURES: json.dumps(told, separators=(",", ":"))},
        )
    return dict(sorted(shown.items()))


def show_info(info: SystemInfo) -> wire.Info:
    """GET /info."""
    cgroups = info.cgroups
    commit = wire.Commit("", "")
    runc = str((info.runtime_features.get("runc", {}).get("annotations") or {}).get(_RUNC_COMMIT, ""))
    return wire.Info(
        ID=info.id,
        Containers=info.containers,
        ContainersRunning=info.running,
        ContainersPaused=info.paused,
        ContainersStopped=info.stopped,
        Images=info.images,
        Driver=info.storage_driver,
        DriverStatus=[["Backing Filesystem", info.backing_filesystem], ["Supports d_type", "true"]],
        Plugins=wire.PluginLists(["local"], ["bridge", "host", "macvlan", "null"], None, list(info.log_drivers)),
        MemoryLimit=cgroups.memory,
        SwapLimit=cgroups.swap,
        KernelMemoryTCP=False if cgroups.version == 1 else UNSET,
        CpuCfsPeriod=cgroups.cpu_quota,
        CpuCfsQuota=cgroups.cpu_quota,
        CPUShares=cgroups.cpu_shares,
        CPUSet=cgroups.cpuset,
        PidsLimit=cgroups.pids,
        IPv4Forwarding=not any("IPv4 forwarding" in warning for warning in info.warnings),
        BridgeNfIptables=True,
        BridgeNfIp6tables=True,
        Debug=info.debug,
        NFd=info.file_descriptors,
        OomKillDisable=cgroups.oom_kill_disable,
        NGoroutines=0,
        SystemTime=rfc3339(info.system_time),
        LoggingDriver=info.logging_driver,
        CgroupDriver=info.cgroup_driver,
        CgroupVersion=str(cgroups.version),
        NEventsListener=info.event_listeners,
        KernelVersion=info.kernel,
        OperatingSystem=info.operating_system,
        OSVersion=info.os_version,
        OSType="linux",
        Architecture=info.architecture,
        IndexServerAddress=_INDEX,
        RegistryConfig=_registries(info),
        NCPU=info.cpus,
        MemTotal=info.memory,
        GenericResources=None,
        DockerRootDir=info.data_root,
        HttpProxy="",
        HttpsProxy="",
        NoProxy="",
        Name=info.name,
        Labels=list(info.labels),
        ExperimentalBuild=False,
        ServerVersion=info.version,
        Runtimes=_runtimes(info),
        DefaultRuntime=info.default_runtime,
        Swarm=wire.SwarmInfo(),
        LiveRestoreEnabled=True,
        Isolation="",
        InitBinary=info.init_binary,
        ContainerdCommit=commit,
        RuncCommit=wire.Commit(runc, runc),
        InitCommit=commit,
        SecurityOptions=list(info.security_options),
        ProductLicense=UNSET,
        CDISpecDirs=[],
        Warnings=list(info.warnings) or None,
        HostChanges=list(info.host_changes) or UNSET,
    )


def show_cache_item(item: CacheItem) -> wire.BuildCacheItem:
    """One row of GET /system/df."""
    return wire.BuildCacheItem(
        ID=item.id,
        Parents=[item.parent] if item.parent else UNSET,
        Type=item.type,
        Description=item.description,
        InUse=item.in_use,
        Shared=item.shared,
        Size=item.size,
        CreatedAt=rfc3339(item.made_at),
        LastUsedAt=rfc3339(item.used_at),
        UsageCount=item.uses,
    )

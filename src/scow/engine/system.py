"""What the engine is and what it uses."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scow import __version__
from scow.engine import runtimes
from scow.engine.context import Engine
from scow.engine.spec.build import find_init
from scow.linux.cgroup_support import Support, support
from scow.model.runtime import NATIVE, Runtime


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """Facts for `info` and `version`. memory in bytes."""

    id: str
    name: str
    version: str
    containers: int
    running: int
    paused: int
    stopped: int
    images: int
    kernel: str
    operating_system: str
    os_version: str
    architecture: str
    cpus: int
    memory: int
    data_root: str
    storage_driver: str
    backing_filesystem: str
    cgroups: Support
    cgroup_driver: str
    logging_driver: str
    log_drivers: tuple[str, ...]
    security_options: tuple[str, ...]
    warnings: tuple[str, ...]
    insecure_registries: tuple[str, ...]
    registry_mirrors: tuple[str, ...]
    labels: tuple[str, ...]
    init_binary: str
    debug: bool
    file_descriptors: int
    event_listeners: int
    system_time: int
    host_changes: tuple[str, ...] = ()
    runtimes: Mapping[str, Runtime] = field(default_factory=dict)
    runtime_features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_runtime: str = NATIVE


async def info(engine: Engine) -> SystemInfo:
    """As things are now; reads a few files of /proc and /etc."""
    states = Counter(entry.container.status.state for entry in engine.containers)
    running, paused = states["running"], states["paused"]
    total = sum(states.values())
    release = _os_release()
    machine = os.uname()
    settings = engine.settings
    cgroups = support()
    programs = runtimes.known(settings)
    return SystemInfo(
        id=engine.id,
        name=machine.nodename,
        version=__version__,
        containers=total,
        running=running,
        paused=paused,
        stopped=total - running - paused,
        images=len(engine.images.images()),
        kernel=machine.release,
        operating_system=release.get("PRETTY_NAME", "Linux"),
        os_version=release.get("VERSION_ID", ""),
        architecture=machine.machine,
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        data_root=settings.data_root,
        storage_driver="overlay2",
        backing_filesystem=_filesystem(settings.data_root),
        cgroups=cgroups,
        cgroup_driver="cgroupfs",
        logging_driver=settings.default_log_driver,
        log_drivers=("json-file", "none"),
        security_options=("name=seccomp,profile=builtin", "name=cgroupns"),
        warnings=_warnings(cgroups),
        insecure_registries=settings.insecure_registries,
        registry_mirrors=settings.registry_mirrors,
        labels=settings.labels,
        init_binary=os.path.basename(find_init()),
        debug=settings.debug,
        file_descriptors=len(os.listdir("/proc/self/fd")),
        event_listeners=engine.events.listeners,
        system_time=engine.clock(),
        host_changes=tuple(engine.networking.host_changes()),
        runtimes=programs,
        runtime_features=await runtimes.features(programs),
        default_runtime=settings.default_runtime,
    )


def _warnings(cgroups: Support) -> tuple[str, ...]:
    missing = {
        "memory limit": cgroups.memory,
        "swap limit": cgroups.swap,
        "cpu cfs quota": cgroups.cpu_quota,
        "cpu cfs period": cgroups.cpu_quota,
        "cpu shares": cgroups.cpu_shares,
        "cpuset": cgroups.cpuset,
    }
    found = [f"WARNING: No {what} support" for what, there in missing.items() if not there]
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as stream:
        if stream.read().strip() == "0":
            found.append("WARNING: IPv4 forwarding is disabled")
    return tuple(found)


def _os_release() -> dict[str, str]:
    values: dict[str, str] = {}
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                name, _, value = line.strip().partition("=")
                values[name] = value.strip('"')
    except OSError:
        pass
    return values


def _filesystem(path: str) -> str:
    """The kernel's name of the file system that holds `path`."""
    best, kind = "", "unknown"
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            _, target, name, *_ = line.split()
            inside = path == target or path.startswith(target.rstrip("/") + "/")
            if inside and len(target) >= len(best):
                best, kind = target, name
    return "extfs" if kind in ("ext2", "ext3", "ext4") else kind

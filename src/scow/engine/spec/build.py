"""From a Container record to the OCI runtime specification that the process side executes."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scow.engine.spec import capabilities, devices, mounts, resources, security
from scow.model.container import Container
from scow.oci.runtime import Process, Spec

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INIT_SOURCES = ("/usr/bin/tini-static", "/usr/libexec/docker/docker-init", "/usr/bin/docker-init", "/usr/bin/tini")
_INIT_TARGET = "/sbin/docker-init"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the spec needs to know beyond the container itself.

    directory: where hosts, hostname and resolv.conf lie. root: the empty directory to mount the root on.
    joined: namespace paths by kind (pid, ipc, network) of another container. shm_source: see spec/mounts.py. linked:
    variables that tell of linked containers.
    """

    directory: str
    root: str
    cgroup_path: str
    default_ulimits: tuple[str, ...] = ()
    joined: Mapping[str, str] | None = None
    shm_source: str | None = None
    init_path: str = ""
    linked: tuple[str, ...] = ()


def find_init() -> str:
    """The host's static init for --init, "" if there is none."""
    return next((path for path in _INIT_SOURCES if os.access(path, os.X_OK)), "")


def build(container: Container, around: Surroundings) -> Spec:
    """The whole document; pure but for device look-ups."""
    host = container.host
    options = security.parse(host.security_opt)
    caps = capabilities.resolve(host.cap_add, host.cap_drop, host.privileged)
    limits = resources.runtime_resources(host.resources)
    nodes, device_rules = devices.devices(host)
    limits["devices"] = device_rules
    rlimits, explicit = resources.rlimits(host, around.default_ulimits)
    all_mounts = _mounts(container, around)
    linux: dict[str, Any] = {
        "resources": limits,
        "cgroupsPath": around.cgroup_path,
        "namespaces": _namespaces(container, around.joined or {}),
        "devices": nodes,
        "sysctl": _sysctls(container),
        "maskedPaths": [] if options.unmask_all else list(security.masked_paths(host)),
        "readonlyPaths": [] if options.unmask_all else list(security.read_only_paths(host)),
        "rootfsPropagation": mounts.rootfs_propagation(host, container.mount_points),
    }
    profile = security.seccomp_profile(host, options, caps)
    if profile is not None:
        linux["seccomp"] = profile
    return {
        "ociVersion": "1.1.0",
        "process": _init_process(container, around, caps, rlimits, options.no_new_privileges),
        "root": {"path": around.root, "readonly": host.read_only_rootfs},
        "hostname": "" if host.uts_mode == "host" else container.config.hostname,
        "domainname": "" if host.uts_mode == "host" else container.config.domainname,
        "mounts": all_mounts,
        "annotations": {**host.annotations, "org.scow.rlimits.explicit": ",".join(explicit)},
        "linux": linux,
    }


def environment(container: Container, tty: bool, extra: Sequence[str] = (), linked: Sequence[str] = ()) -> list[str]:
    """PATH, HOSTNAME and TERM as Docker sets them, then what tells of `linked` containers, the container's own, `extra`;
    the last value of a name wins.
    """
    first = [_PATH, f"HOSTNAME={container.config.hostname}"]
    if tty:
        first.append("TERM=xterm")
    merged: dict[str, str] = {}
    for word in (*first, *linked, *container.config.env, *extra):
        name, separator, _ = word.partition("=")
        if separator:
            merged[name] = word
        else:
            merged.pop(name, None)
    return list(merged.values())


def _init_process(
    container: Container,
    around: Surroundings,
    caps: list[str],
    rlimits: list[dict[str, Any]],
    no_new_privileges: bool,
) -> Process:
    config, host = container.config, container.host
    args = [container.path, *container.args]
    if around.init_path:
        args = [_INIT_TARGET, "--", *args]
    process: Process = {
        "terminal": config.tty,
        "user": {
            "uid": 0,
            "gid": 0,
            "username": config.user,
            "additionalGids": list(host.group_add),
        },
        "args": args,
        "env": environment(container, config.tty, linked=around.linked),
        "cwd": config.working_dir or "/",
        "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        "rlimits": rlimits,
        "noNewPrivileges": no_new_privileges,
    }
    if host.oom_score_adj:
        process["oomScoreAdj"] = host.oom_score_adj
    if config.tty and any(host.console_size):
        process["consoleSize"] = {"height": host.console_size[0], "width": host.console_size[1]}
    return process


def exec_process(
    container: Container,
    cmd: Sequence[str],
    *,
    user: str,
    tty: bool,
    env: Sequence[str],
    cwd: str,
    privileged: bool,
    linked: Sequence[str] = (),
) -> Process:
    """The process object of an exec: the container's own limits, with the exec's command, user and environment."""
    host = container.host
    options = security.parse(host.security_opt)
    caps = capabilities.resolve(host.cap_add, host.cap_drop, host.privileged or privileged)
    rlimits, _ = resources.rlimits(host, ())
    return {
        "terminal": tty,
        "user": {
            "uid": 0,
            "gid": 0,
            "username": user or container.config.user,
            "additionalGids": list(host.group_add),
        },
        "args": list(cmd),
        "env": environment(container, tty, env, linked),
        "cwd": cwd or container.config.working_dir or "/",
        "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        "rlimits": rlimits,
        "noNewPrivileges": options.no_new_privileges,
        "privileged": privileged,
    }


def _mounts(container: Container, around: Surroundings) -> list[dict[str, Any]]:
    taken = {point.target for point in container.mount_points}
    mqueue = container.host.ipc_mode != "host"
    result = [
        mount
        for mount in mounts.system_mounts(container, around.shm_source, mqueue)
        if mount["destination"] not in taken or mount["destination"] in ("/proc", "/sys", "/dev")
    ]
    if around.init_path:
        result.append(
            {
                "destination": _INIT_TARGET,
                "type": "bind",
                "source": around.init_path,
                "options": ["bind", "ro", "rprivate"],
            }
        )
    result.extend(mounts.user_mounts(container, around.directory))
    return result


def _namespaces(container: Container, joined: Mapping[str, str]) -> list[dict[str, str]]:
    host = container.host
    modes = {
        "pid": host.pid_mode,
        "ipc": host.ipc_mode,
        "uts": host.uts_mode,
        "cgroup": host.cgroupns_mode,
        "network": "host" if host.network_mode == "host" else "",
    }
    result = [{"type": "mount"}]
    for kind, mode in modes.items():
        if mode == "host":
            continue
        result.append({"type": kind, "path": joined[kind]} if kind in joined else {"type": kind})
    return result


def _sysctls(container: Container) -> dict[str, str]:
    """Docker's two network defaults (ping and low ports without privilege), then what was asked for."""
    host = container.host
    result: dict[str, str] = {}
    if host.network_mode not in ("host",) and not host.network_mode.startswith("container:"):
        result["net.ipv4.ip_unprivileged_port_start"] = "0"
        result["net.ipv4.ping_group_range"] = "0 2147483647"
    result.update(host.sysctls)
    return result

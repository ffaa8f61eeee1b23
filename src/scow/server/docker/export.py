"""Copies of a container's record in Docker's on-disk shape (config.v2.json, hostconfig.json), for tools that read a data
root. They are never read back. The daemon's wiring calls this through the engine's `export` hook.
"""

import os
from typing import Any

import msgspec

from scow.model.container import Container
from scow.model.mounts import MountPoint, MountRequest
from scow.server.docker.convert.config import show_config
from scow.server.docker.convert.host import show_host
from scow.server.docker.convert.inspect import RUNNING, show_health, show_networks, show_ports
from scow.server.docker.convert.mounts import show_mount
from scow.server.docker.convert.times import rfc3339

_encode = msgspec.json.Encoder().encode


def hostconfig(container: Container) -> bytes:
    """hostconfig.json"""
    return _encode(show_host(container.host)) + b"\n"


def config_v2(container: Container, data_root: str) -> bytes:
    """config.v2.json of a container below `data_root`."""
    directory = f"{data_root}/containers/{container.id}"
    status, config = container.status, container.config
    started = status.started_at != 0
    log = f"{directory}/{container.id}-json.log" if started and container.host.log.driver == "json-file" else ""
    record = {
        "StreamConfig": {},
        "State": _state(container),
        "ID": container.id,
        "Created": rfc3339(container.created_at),
        "Managed": False,
        "Path": container.path,
        "Args": container.args,
        "Config": show_config(config),
        "Image": container.image_id,
        "ImageManifest": None,
        "NetworkSettings": _network(container),
        "LogPath": log,
        "Name": f"/{container.name}",
        "Driver": "overlay2",
        "OS": container.platform,
        "RestartCount": status.restart_count,
        "HasBeenStartedBefore": started,
        "HasBeenManuallyStopped": status.stopped_by_user,
        "MountPoints": _mount_points(container),
        "SecretReferences": None,
        "ConfigReferences": None,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "SeccompProfile": "",
        "NoNewPrivileges": any(
            word in ("no-new-privileges", "no-new-privileges=true", "no-new-privileges:true")
            for word in container.host.security_opt
        ),
        "HostnamePath": f"{directory}/hostname" if started else "",
        "HostsPath": f"{directory}/hosts" if started else "",
        "ShmPath": "",
        "ResolvConfPath": f"{directory}/resolv.conf" if started else "",
        "LocalLogCacheMeta": {"HaveNotifyEnabled": False},
    }
    return _encode(record) + b"\n"


def _state(container: Container) -> dict[str, Any]:
    status = container.status
    return {
        "Running": status.state in RUNNING,
        "Paused": status.state == "paused",
        "Restarting": status.state == "restarting",
        "OOMKilled": status.oom_killed,
        "RemovalInProgress": status.state == "removing",
        "Dead": status.state == "dead",
        "Pid": status.pid,
        "ExitCode": status.exit_code,
        "Error": status.error,
        "StartedAt": rfc3339(status.started_at),
        "FinishedAt": rfc3339(status.finished_at),
        "Health": None if status.health is None else show_health(status.health),
    }


def _network(container: Container) -> dict[str, Any]:
    status = container.status
    running = status.state in RUNNING and status.pid > 0
    networks: dict[str, Any] = {}
    for name, shown in show_networks(container, ()).items():
        networks[name] = {**msgspec.to_builtins(shown), "IPAMOperational": False, "DesiredMacAddress": ""}
    return {
        "Bridge": "",
        "SandboxID": status.sandbox_id,
        "SandboxKey": f"/proc/{status.pid}/ns/net" if running else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Networks": networks,
        "Service": None,
        "Ports": show_ports(container) if running else {},
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "HasSwarmEndpoint": False,
    }


def _mount_points(container: Container) -> dict[str, Any]:
    wishes = {os.path.normpath(wish.target): wish for wish in container.host.mounts if wish.origin == "mount"}
    hidden = {os.path.normpath(wish.target) for wish in container.host.mounts if wish.origin == "tmpfs"}
    points: dict[str, Any] = {}
    for point in container.mount_points:
        if point.target in hidden:
            continue
        shown: dict[str, Any] = {
            "Source": point.source,
            "Destination": point.target,
            "RW": not point.read_only,
            "Name": point.name,
            "Driver": point.driver,
            "Type": point.kind,
        }
        if point.mode:
            shown["Relabel"] = point.mode
        if point.propagation:
            shown["Propagation"] = point.propagation
        shown["Spec"] = show_mount(wishes.get(point.target) or _as_wish(point))
        shown["SkipMountpointCreation"] = False
        points[point.target] = shown
    return points


def _as_wish(point: MountPoint) -> MountRequest:
    return MountRequest(point.kind, point.target, point.name or point.source, read_only=point.read_only)

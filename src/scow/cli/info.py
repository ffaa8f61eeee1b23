"""`scow info`: the engine's state and settings."""

from __future__ import annotations

from scow import __version__
from scow.cli.command import Command, Exit
from scow.cli.output import put, warn
from scow.cli.records import Record, render
from scow.cli.units import binary_size
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (("format", "f", "string", "", "Format output: 'json', or a Go template"),)


def _info(session: Session, flags: Flags, args: list[str]) -> int:
    layout = flags.text("format")
    client = {"Debug": session.debug, "Version": __version__, "Context": session.context or "default", "Plugins": []}
    failure = ""
    server: dict[str, Any] | None = None
    try:
        server = session.client.get("/info")
    except ScowError as error:
        failure = str(error)
    if layout:
        try:
            if server is not None:
                put(render(layout, Record("system.dockerInfo", {**server, "ClientInfo": client})))
        finally:
            put("\n")
    else:
        put(_client_text(client) + "\nServer:\n")
        if server is not None:
            put(server_text(server) + "\n")
            for text in server.get("Warnings") or ():
                warn(text)
    if failure:
        raise Exit(1, failure)
    return 0


def _client_text(client: dict[str, Any]) -> str:
    debug = "true" if client["Debug"] else "false"
    return f"Client:\n Version:    {client['Version']}\n Context:    {client['Context']}\n Debug Mode: {debug}\n"


def server_text(info: dict[str, Any]) -> str:
    """The server's part, a line a fact."""
    out = [
        f" Containers: {info['Containers']}",
        f"  Running: {info['ContainersRunning']}",
        f"  Paused: {info['ContainersPaused']}",
        f"  Stopped: {info['ContainersStopped']}",
        f" Images: {info['Images']}",
        *_given(info, " Server Version", "ServerVersion"),
        *_given(info, " Storage Driver", "Driver"),
        *(f"  {name}: {value}" for name, value in info.get("DriverStatus") or ()),
        *_given(info, " Logging Driver", "LoggingDriver"),
        *_given(info, " Cgroup Driver", "CgroupDriver"),
        *_given(info, " Cgroup Version", "CgroupVersion"),
        *_plugins(info.get("Plugins") or {}),
        f" Swarm: {(info.get('Swarm') or {}).get('LocalNodeState') or 'inactive'}",
        *_runtimes(info),
        *_security(info.get("SecurityOptions") or ()),
        *_machine(info),
        f" Docker Root Dir: {info['DockerRootDir']}",
        f" Debug Mode: {_word(info['Debug'])}",
        *_given(info, " HTTP Proxy", "HttpProxy"),
        *_given(info, " HTTPS Proxy", "HttpsProxy"),
        *_given(info, " No Proxy", "NoProxy"),
    ]
    if info.get("Labels"):
        out += [" Labels:", *(f"  {label}" for label in info["Labels"])]
    out.append(f" Experimental: {_word(info['ExperimentalBuild'])}")
    out += _registries(info.get("RegistryConfig") or {})
    out.append(f" Live Restore Enabled: {_word(info['LiveRestoreEnabled'])}")
    out += _given(info, " Product License", "ProductLicense")
    if info.get("HostChanges"):
        out += [" Host Changes:", *(f"  {change}" for change in info["HostChanges"])]
    pools = info.get("DefaultAddressPools") or ()
    if pools:
        out += [" Default Address Pools:", *(f"   Base: {pool['Base']}, Size: {pool['Size']}" for pool in pools)]
    return "\n".join(out) + "\n"


def _word(value: object) -> str:
    return "true" if value else "false"


def _given(info: dict[str, Any], title: str, key: str) -> list[str]:
    value = info.get(key)
    return [f"{title}: {value}"] if value else []


def _plugins(plugins: dict[str, Any]) -> list[str]:
    out = [" Plugins:"]
    for title in ("Volume", "Network", "Authorization", "Log"):
        names = plugins.get(title) or []
        if names or title in ("Volume", "Network"):
            out.append(f"  {title}: {' '.join(names)}")
    return out


def _runtimes(info: dict[str, Any]) -> list[str]:
    out = []
    if info.get("Runtimes"):
        out.append(f" Runtimes: {' '.join(info['Runtimes'])}")
        out.append(f" Default Runtime: {info.get('DefaultRuntime', '')}")
    out.append(f" Init Binary: {info.get('InitBinary', '')}")
    for title, key in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        commit = info.get(key)
        if commit is not None:
            out.append(f" {title} version: {commit.get('ID', '')}")
    return out


def _security(options: Sequence[str]) -> list[str]:
    if not options:
        return []
    out = [" Security Options:"]
    for option in options:
        fields = dict(part.partition("=")[::2] for part in option.split(","))
        out.append(f"  {fields.pop('name', option)}")
        out += [f"   {key.capitalize()}: {value}" for key, value in fields.items()]
    return out


def _machine(info: dict[str, Any]) -> list[str]:
    return [
        *_given(info, " Kernel Version", "KernelVersion"),
        *_given(info, " Operating System", "OperatingSystem"),
        *_given(info, " OSType", "OSType"),
        *_given(info, " Architecture", "Architecture"),
        f" CPUs: {info['NCPU']}",
        f" Total Memory: {binary_size(info['MemTotal'])}",
        *_given(info, " Name", "Name"),
        *_given(info, " ID", "ID"),
    ]


def _registries(config: dict[str, Any]) -> list[str]:
    out = []
    indexes = config.get("IndexConfigs") or {}
    insecure = [index["Name"] for index in indexes.values() if not index.get("Secure", True)]
    insecure += config.get("InsecureRegistryCIDRs") or []
    if insecure:
        out += [" Insecure Registries:", *(f"  {name}" for name in insecure)]
    if config.get("Mirrors"):
        out += [" Registry Mirrors:", *(f"  {name}" for name in config["Mirrors"])]
    return out


COMMAND = Command(_info, "[OPTIONS]", "Display system-wide information", "system info, info", _OPTIONS, 0, 0)

"""One container as inspect shows it."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from scow.api.container import GraphDriverInfo, HealthLogEntry, HealthState, Inspect, MountPoint, NetworkInfo, StateInfo
from scow.api.endpoint import EndpointIpam, EndpointSettings
from scow.api.host_config import HostConfig
from scow.api.host_config import PortBinding as WireBinding
from scow.engine.containers import files
from scow.engine.context import Engine
from scow.engine.networks import links, wishes
from scow.model.container import Container, Status
from scow.model.health import Health
from scow.model.network import PREDEFINED, Endpoint, EndpointWish, Network
from scow.server.docker.convert.config import show_config
from scow.server.docker.convert.host import show_host
from scow.server.docker.convert.times import rfc3339

RUNNING = frozenset({"running", "paused", "restarting"})


def show_inspect(
    engine: Engine, container: Container, execs: Sequence[str], sizes: tuple[int, int] | None = None
) -> Inspect:
    """Docker's shape. Paths of files that do not exist before the first start are empty, as Docker has them."""
    status = container.status
    directory = files.directory(engine, container.id)
    started = status.started_at != 0
    rw: int | UnsetType = UNSET
    root: int | UnsetType = UNSET
    if sizes is not None:
        rw, root = sizes
    return Inspect(
        Id=container.id,
        Created=rfc3339(container.created_at),
        Path=container.path,
        Args=list(container.args),
        State=show_state(status),
        Image=container.image_id,
        ResolvConfPath=f"{directory}/resolv.conf" if started else "",
        HostnamePath=f"{directory}/hostname" if started else "",
        HostsPath=f"{directory}/hosts" if started else "",
        LogPath=files.log_path(engine, container.id) if started and container.host.log.driver == "json-file" else "",
        Name=f"/{container.name}",
        RestartCount=status.restart_count,
        Driver="overlay2",
        Platform=container.platform,
        MountLabel="",
        ProcessLabel="",
        AppArmorProfile="",
        ExecIDs=list(execs) or None,
        HostConfig=_host(engine, container),
        GraphDriver=_graph_driver(engine, container),
        SizeRw=rw,
        SizeRootFs=root,
        Mounts=show_mounts(container),
        Config=show_config(container.config),
        NetworkSettings=show_network(container, engine.networking.networks()),
    )


def _host(engine: Engine, container: Container) -> HostConfig:
    """As asked for; of links, what became of them."""
    host = show_host(container.host)
    host.Links = links.shown(engine, container) or None
    return host


def show_state(status: Status) -> StateInfo:
    return StateInfo(
        Status=status.state,
        Running=status.state in RUNNING,
        Paused=status.state == "paused",
        Restarting=status.state == "restarting",
        OOMKilled=status.oom_killed,
        Dead=status.state == "dead",
        Pid=status.pid,
        ExitCode=status.exit_code,
        Error=status.error,
        StartedAt=rfc3339(status.started_at),
        FinishedAt=rfc3339(status.finished_at),
        Health=UNSET if status.health is None else show_health(status.health),
    )


def show_health(health: Health) -> HealthState:
    """State.Health"""
    return HealthState(
        health.status,
        health.failing_streak,
        [HealthLogEntry(rfc3339(r.start), rfc3339(r.end), r.exit_code, r.output) for r in health.log],
    )


def _graph_driver(engine: Engine, container: Container) -> GraphDriverInfo:
    lowers, upper, work = engine.snapshots.directories(container.id, container.layers)
    pid = container.status.pid
    # The merged tree exists in the container's own mount namespace only; there it can be seen from the host.
    merged = f"/proc/{pid}/root" if pid else ""
    data = {"LowerDir": ":".join(lowers), "MergedDir": merged, "UpperDir": upper, "WorkDir": work}
    return GraphDriverInfo(data, "overlay2")


def show_mounts(container: Container) -> list[MountPoint]:
    """All but --tmpfs, which Docker shows in HostConfig only."""
    hidden = {wish.target for wish in container.host.mounts if wish.origin == "tmpfs"}
    return [
        MountPoint(
            Type=point.kind,
            Name=point.name or UNSET,
            Source=point.source,
            Destination=point.target,
            Driver=point.driver or UNSET,
            Mode=point.mode,
            RW=not point.read_only,
            Propagation=point.propagation,
        )
        for point in container.mount_points
        if point.kind != "tmpfs" or point.target not in hidden
    ]


# ---------------------------------------------------------------- network


def network_name(container: Container) -> str:
    """The network that the container's mode names, "" when it shares another container's."""
    mode = container.host.network_mode
    if mode.startswith("container:"):
        return ""
    return "bridge" if mode == "default" else mode


def show_networks(container: Container, networks: Sequence[Network]) -> dict[str, EndpointSettings]:
    """By name; a container that does not run has a place without addresses."""
    endpoints = container.status.endpoints if container.status.state in RUNNING else ()
    present = {endpoint.network_name: endpoint for endpoint in endpoints}
    known = {name: network.id for network in networks for name in (network.name, network.id)}
    shown: dict[str, EndpointSettings] = {}
    for wish in wishes.of(container):
        identity = known.get(wish.network, wish.network_id) if container.status.started_at else ""
        endpoint = present.get(wish.network) or Endpoint(identity, wish.network, "")
        shown[wish.network] = show_endpoint(endpoint, wish, container)
    return shown


def show_endpoint(endpoint: Endpoint, wish: EndpointWish, container: Container) -> EndpointSettings:
    asked = EndpointIpam(IPv4Address=wish.ipv4 or UNSET, IPv6Address=wish.ipv6 or UNSET)
    named = wish.network not in PREDEFINED and container.status.started_at
    names = [container.name, *wish.aliases, container.id[:12]]
    if container.config.hostname != container.id[:12]:
        names.append(container.config.hostname)
    return EndpointSettings(
        IPAMConfig=asked if wish.ipv4 or wish.ipv6 else None,
        Links=list(wish.links) or None,
        Aliases=list(wish.aliases) or None,
        MacAddress=endpoint.mac_address,
        NetworkID=endpoint.network_id,
        EndpointID=endpoint.endpoint_id,
        Gateway=endpoint.gateway,
        IPAddress=endpoint.ip_address,
        IPPrefixLen=endpoint.prefix_length,
        IPv6Gateway=endpoint.ipv6_gateway,
        GlobalIPv6Address=endpoint.ipv6_address,
        GlobalIPv6PrefixLen=endpoint.ipv6_prefix_length,
        DNSNames=list(dict.fromkeys(names)) if named else None,
    )


def show_network(container: Container, networks: Sequence[Network]) -> NetworkInfo:
    """NetworkSettings; the fields at its top repeat those of the default bridge."""
    status = container.status
    info = NetworkInfo(Networks=show_networks(container, networks), Ports={})
    if status.state not in RUNNING or not status.pid:
        return info
    info.SandboxID = status.sandbox_id
    info.SandboxKey = f"/proc/{status.pid}/ns/net"
    info.Ports = show_ports(container)
    for endpoint in status.endpoints:
        if endpoint.network_name != "bridge":
            continue
        info.Bridge = next((network.bridge for network in networks if network.id == endpoint.network_id), "")
        info.EndpointID = endpoint.endpoint_id
        info.Gateway = endpoint.gateway
        info.IPAddress = endpoint.ip_address
        info.IPPrefixLen = endpoint.prefix_length
        info.MacAddress = endpoint.mac_address
    return info


def show_ports(container: Container) -> dict[str, list[WireBinding] | None]:
    """Exposed ports without a publication are null."""
    ports: dict[str, list[WireBinding] | None] = {}
    if network_name(container) in ("host", "none", ""):
        return ports
    for port in container.config.exposed_ports:
        ports[str(port)] = None
    for published in container.status.published:
        bindings = ports.get(str(published.port))
        if bindings is None:
            bindings = ports[str(published.port)] = []
        bindings.append(WireBinding(published.host_ip, str(published.host_port)))
    return ports

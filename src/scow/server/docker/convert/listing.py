"""Containers as the list shows them."""

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType

from scow.api.container import Port, Summary, SummaryHostConfig, SummaryNetworks
from scow.engine.context import Engine
from scow.errors import ScowError
from scow.model.container import Container, Status
from scow.model.health import STARTING
from scow.model.network import Network
from scow.server.docker.convert.inspect import RUNNING, network_name, show_mounts, show_networks
from scow.server.docker.convert.times import elapsed


def show_summary(
    engine: Engine,
    container: Container,
    networks: Sequence[Network],
    now: int,
    linked: Mapping[str, Sequence[str]],
    sizes: tuple[int, int] | None = None,
) -> Summary:
    """One line of GET /containers/json. linked: names that links give to containers, by id."""
    mode = container.host.network_mode
    rw: int | UnsetType = UNSET
    root: int | UnsetType = UNSET
    if sizes is not None:
        rw, root = sizes[0] or UNSET, sizes[1] or UNSET
    return Summary(
        Id=container.id,
        Names=sorted((f"/{container.name}", *linked.get(container.id, ()))),
        Image=_image_name(engine, container),
        ImageID=container.image_id,
        Command=_command(container),
        Created=container.created_at // 1_000_000_000,
        Ports=show_port_list(container),
        SizeRw=rw,
        SizeRootFs=root,
        Labels=container.config.labels,
        State=container.status.state,
        Status=status_text(container.status, now),
        HostConfig=SummaryHostConfig("bridge" if mode == "default" else mode),
        NetworkSettings=SummaryNetworks(show_networks(container, networks)),
        Mounts=show_mounts(container),
    )


def _image_name(engine: Engine, container: Container) -> str:
    """The name it was created with, or the id when that name means another image now."""
    try:
        if any(image.id == container.image_id for image in engine.images.variants(container.image_ref)):
            return container.image_ref
    except ScowError:
        pass
    return container.image_id


def _command(container: Container) -> str:
    words = [container.path, *(f"'{word}'" if " " in word else word for word in container.args)]
    return " ".join(words) if container.args else container.path


def status_text(status: Status, now: int) -> str:
    """`Up 2 seconds (Paused)`, `Exited (0) 3 minutes ago`, …"""
    state = status.state
    if state in ("running", "paused"):
        text = f"Up {elapsed(now - status.started_at)}"
        if state == "paused":
            return f"{text} (Paused)"
        if status.health is None:
            return text
        return f"{text} ({'health: starting' if status.health.status == STARTING else status.health.status})"
    if state == "restarting":
        return f"Restarting ({status.exit_code}) {elapsed(now - status.finished_at)} ago"
    if state == "removing":
        return "Removal In Progress"
    if state == "dead":
        return "Dead"
    if state == "created" or not status.finished_at:
        return "Created"
    return f"Exited ({status.exit_code}) {elapsed(now - status.finished_at)} ago"


def show_port_list(container: Container) -> list[Port]:
    """Published ports, then exposed ones without a publication; by protocol and number, addresses in given order."""
    status = container.status
    if status.state not in RUNNING or network_name(container) in ("host", "none", ""):
        return []
    published = {entry.port for entry in status.published}
    entries = [(e.port, Port(e.host_ip, e.port.number, e.host_port, e.port.protocol)) for e in status.published]
    entries += [
        (port, Port(UNSET, port.number, UNSET, port.protocol))
        for port in container.config.exposed_ports
        if port not in published
    ]
    entries.sort(key=lambda entry: (entry[0].protocol, entry[0].number))
    return [port for _, port in entries]

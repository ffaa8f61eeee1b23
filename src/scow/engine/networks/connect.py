"""Connect a container to one more network."""

import os
from dataclasses import replace

from scow.engine.containers import happenings
from scow.engine.context import Engine
from scow.engine.networks import links, name_files, query, wishes
from scow.engine.registry import Entry
from scow.errors import Forbidden, InvalidArgument, NotFound
from scow.model.network import EndpointWish, Network, Places
from scow.network.choice import check_wish

NO_HOST = "container cannot be disconnected from host network or connected to host network"
_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_PRIVATE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


async def connect(engine: Engine, network_name: str, container_name: str, wish: EndpointWish) -> None:
    """On a running container the interface is there when this returns; a stopped one has it at its next start."""
    network = query.get(engine, network_name)
    entry = engine.containers.find(container_name)
    check_wish(network, wish)
    wish = replace(wish, network=network.name, network_id=network.id)
    async with entry.lock:
        _check(entry, network)
        if entry.task is not None:
            await _plug_in(engine, entry, wish)
        else:
            present = tuple(one for one in wishes.of(entry.container) if one.network != network.name)
            engine.containers.set_status(entry, replace(entry.container.status, networks=(*present, wish)))
        await engine.containers.save(entry)
    engine.export(entry.container)


def _check(entry: Entry, network: Network) -> None:
    container = entry.container
    if entry.removing:
        raise NotFound(f"No such container: {container.id}")
    if container.host.network_mode.startswith("container:") or container.host.network_mode == "host":
        raise InvalidArgument(_SHARED)
    if network.name == "host":
        raise InvalidArgument(NO_HOST)
    if network.config_only:
        raise Forbidden("cannot create endpoint on configuration-only network")
    present = wishes.of(container)
    if any(wish.network == "none" for wish in present) or (network.name == "none" and present):
        raise InvalidArgument(_PRIVATE)
    if entry.task is not None and any(one.network_id == network.id for one in container.status.endpoints):
        raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")


async def _plug_in(engine: Engine, entry: Entry, wish: EndpointWish) -> None:
    container = entry.container
    netns = open_namespace(container.status.pid)
    try:
        places = await engine.networking.attach(links.tenant(engine, container, wish), wish, netns)
    finally:
        os.close(netns)
    before = {one.endpoint_id for one in container.status.endpoints}
    await apply(engine, entry, places, (*wishes.of(container), wish))
    await links.moved(engine, entry.container)
    added = [one for one in places.endpoints if one.endpoint_id not in before]
    happenings.publish_endpoints(engine, entry.container, "connect", added)


def open_namespace(pid: int) -> int:
    """The network namespace of a running container; the fd is the caller's."""
    try:
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound("the container has just ended") from None


async def apply(engine: Engine, entry: Entry, places: Places, networks: tuple[EndpointWish, ...]) -> None:
    """The record and the container's files say what its networks are now."""
    container = entry.container
    status = replace(
        container.status,
        endpoints=places.endpoints,
        published=places.published,
        sandbox_id=container.id,
        networks=networks,
    )
    engine.containers.set_status(entry, status)
    await name_files.rewrite(engine, container, places.endpoints, places.resolver)

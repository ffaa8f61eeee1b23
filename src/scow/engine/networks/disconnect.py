"""Disconnect a container from a network."""

import os
from dataclasses import replace

from scow.engine.containers import happenings
from scow.engine.context import Engine
from scow.engine.networks import query, wishes
from scow.engine.networks.connect import NO_HOST, apply, open_namespace
from scow.engine.registry import Entry
from scow.errors import Internal, InvalidArgument, NotFound
from scow.model.network import EndpointWish, Network


class NotConnected(Internal):
    """Docker answers 500 to this one."""


async def disconnect(engine: Engine, network_name: str, container_name: str, force: bool = False) -> None:
    """The interface is gone when this returns, and ports have moved to another network. `force`: also when the container is
    not known any more.
    """
    network = query.get(engine, network_name)
    try:
        entry = engine.containers.find(container_name)
    except NotFound:
        if force:
            raise NotFound(f"endpoint {container_name} not found") from None
        raise
    async with entry.lock:
        container = entry.container
        if network.name == "host" and container.host.network_mode == "host":
            raise InvalidArgument(NO_HOST)
        present = wishes.of(container)
        left = tuple(wish for wish in present if wish.network != network.name and wish.network != network.id)
        if len(left) == len(present):
            raise NotConnected(f"container {container.id} is not connected to network {network.name}")
        if entry.task is not None and network.name != "none":
            await _pull_out(engine, entry, network, left)
        else:
            endpoints = tuple(one for one in container.status.endpoints if one.network_id != network.id)
            status = replace(container.status, networks=left, endpoints=endpoints)
            engine.containers.set_status(entry, status)
            await engine.containers.save(entry)
    engine.export(entry.container)


async def _pull_out(engine: Engine, entry: Entry, network: Network, left: tuple[EndpointWish, ...]) -> None:
    """First the record: what a crash leaves of the interface is removed at the next start."""
    container = entry.container
    gone = [one for one in container.status.endpoints if one.network_id == network.id]
    endpoints = tuple(one for one in container.status.endpoints if one.network_id != network.id)
    engine.containers.set_status(entry, replace(container.status, networks=left, endpoints=endpoints))
    await engine.containers.save(entry)
    netns = open_namespace(container.status.pid)
    try:
        places = await engine.networking.detach(container.id, network.id, netns)
    finally:
        os.close(netns)
    await apply(engine, entry, places, left)
    await engine.containers.save(entry)
    happenings.publish_endpoints(engine, entry.container, "disconnect", gone)

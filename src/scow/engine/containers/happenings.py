"""Events of containers, with the attributes that Docker gives them."""

from collections.abc import Iterable

from scow.engine.context import Engine
from scow.model.container import Container
from scow.model.event import Event
from scow.model.network import Endpoint


def publish(engine: Engine, container: Container, action: str, **extra: str) -> None:
    """Tell every listener: labels, image and name go along."""
    attributes = {**container.config.labels, "image": container.image_ref, "name": container.name, **extra}
    engine.events.publish(Event("container", action, container.id, attributes, engine.clock()))


def publish_volumes(engine: Engine, container: Container, action: str) -> None:
    """mount and unmount, one for each volume of the container."""
    for point in container.mount_points:
        if point.kind != "volume":
            continue
        attributes = {"container": container.id, "driver": point.driver or "local"}
        if action == "mount":
            attributes |= {
                "destination": point.target,
                "propagation": point.propagation,
                "read/write": "false" if point.read_only else "true",
            }
        engine.events.publish(Event("volume", action, point.name, attributes, engine.clock()))


def publish_prune(engine: Engine, kind: str, freed: int) -> None:
    """What a prune has freed, in bytes."""
    engine.events.publish(Event(kind, "prune", "", {"reclaimed": str(freed)}, engine.clock()))


def publish_network(engine: Engine, container: Container, action: str) -> None:
    """connect and disconnect, one for each network of the container."""
    publish_endpoints(engine, container, action, container.status.endpoints)


def publish_endpoints(engine: Engine, container: Container, action: str, endpoints: Iterable[Endpoint]) -> None:
    """For these of its networks."""
    drivers = {network.id: network.driver for network in engine.networking.networks()}
    for endpoint in endpoints:
        engine.events.publish(
            Event(
                "network",
                action,
                endpoint.network_id,
                {
                    "container": container.id,
                    "name": endpoint.network_name,
                    "type": drivers.get(endpoint.network_id, ""),
                },
                engine.clock(),
            )
        )

"""Events of containers, with the attributes that Docker gives them."""

from scow.engine.context import Engine
from scow.model.container import Container
from scow.model.event import Event


def publish(engine: Engine, container: Container, action: str, **extra: str) -> None:
    """Tell every listener: labels, image and name go along."""
    attributes = {**container.config.labels, "image": container.image_ref, "name": container.name, **extra}
    engine.events.publish(Event("container", action, container.id, attributes, engine.clock()))


def publish_network(engine: Engine, container: Container, action: str) -> None:
    """connect and disconnect, one for each network of the container."""
    for endpoint in container.status.endpoints:
        engine.events.publish(
            Event(
                "network",
                action,
                endpoint.network_id,
                {"container": container.id, "name": endpoint.network_name, "type": endpoint.network_name},
                engine.clock(),
            )
        )

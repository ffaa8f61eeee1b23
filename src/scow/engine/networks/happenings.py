"""Events of networks."""

from scow.engine.context import Engine
from scow.model.event import Event
from scow.model.network import Network


def publish(engine: Engine, network: Network, action: str) -> None:
    """create, destroy, with name and driver."""
    attributes = {"name": network.name, "type": network.driver}
    engine.events.publish(Event("network", action, network.id, attributes, engine.clock()))

"""Remove."""

from scow.engine.context import Engine
from scow.engine.networks import happenings, query
from scow.errors import Forbidden


async def remove(engine: Engine, name: str) -> None:
    """Forbidden while a running container is on it; created and stopped ones do not hold it, as with Docker."""
    network = query.get(engine, name)
    if network.predefined:
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
    await engine.networking.remove(network)
    happenings.publish(engine, network, "destroy")

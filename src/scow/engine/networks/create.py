"""Create."""

from scow.engine.context import Engine
from scow.engine.networks import happenings
from scow.model.network import Network, NetworkRequest


async def create(engine: Engine, request: NetworkRequest) -> Network:
    """A network that survives anything when this returns; see engine.ports.NetworkCatalog for the errors."""
    network = await engine.networking.create(request)
    happenings.publish(engine, network, "create")
    return network

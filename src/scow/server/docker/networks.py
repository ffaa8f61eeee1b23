"""Routes of networks."""

from scow.api.endpoint import EndpointSettings
from scow.api.network import ConnectBody, CreatedNetwork, CreateNetwork, DisconnectBody, PruneNetworks
from scow.engine.networks import connect as connecting
from scow.engine.networks import create as creating
from scow.engine.networks import disconnect as disconnecting
from scow.engine.networks import prune as pruning
from scow.engine.networks import query
from scow.engine.networks import remove as removing
from scow.errors import NotFound
from scow.server.docker.call import Call
from scow.server.docker.convert.create import to_endpoint
from scow.server.docker.convert.network import show_network, to_request


async def list_networks(call: Call) -> None:
    """GET /networks"""
    call.send([show_network(network) for network in query.list_networks(call.engine, call.filters())])


async def inspect(call: Call) -> None:
    """GET /networks/{id}"""
    if call.text("scope") not in ("", "local"):
        raise NotFound(f"network {call.name} not found")
    network = query.get(call.engine, call.name)
    call.send(show_network(network, query.containers_on(call.engine, network.id)))


async def create(call: Call) -> None:
    """POST /networks/create"""
    network = await creating.create(call.engine, to_request(await call.json(CreateNetwork)))
    call.send(CreatedNetwork(network.id), 201)


async def remove(call: Call) -> None:
    """DELETE /networks/{id}"""
    await removing.remove(call.engine, call.name)
    call.empty()


async def connect(call: Call) -> None:
    """POST /networks/{id}/connect"""
    body = await call.json(ConnectBody)
    wish = to_endpoint(call.name, body.EndpointConfig or EndpointSettings())
    await connecting.connect(call.engine, call.name, body.Container, wish)
    call.empty(200)


async def disconnect(call: Call) -> None:
    """POST /networks/{id}/disconnect"""
    body = await call.json(DisconnectBody)
    await disconnecting.disconnect(call.engine, call.name, body.Container, body.Force)
    call.empty(200)


async def prune(call: Call) -> None:
    """POST /networks/prune"""
    call.send(PruneNetworks(await pruning.prune(call.engine, call.filters()) or None))

"""Routes of networks. Those that a daemon always has can be looked at; others are not made yet."""

import msgspec

from scow.api.network import PruneNetworks
from scow.engine import networks
from scow.engine.containers import query
from scow.errors import Forbidden, InvalidArgument, NotFound, Unsupported
from scow.server.docker.call import Call
from scow.server.docker.convert.network import show_network

_PREDEFINED = ("bridge", "host", "none")
_PRUNE_FILTERS = ("label", "label!", "until")


async def list_networks(call: Call) -> None:
    """GET /networks"""
    call.send([show_network(network) for network in networks.list_networks(call.engine, call.filters())])


async def inspect(call: Call) -> None:
    """GET /networks/{id}"""
    if call.text("scope") not in ("", "local"):
        raise NotFound(f"network {call.name} not found")
    network = networks.get(call.engine, call.name)
    call.send(show_network(network, networks.containers_on(call.engine, network.id)))


class _Name(msgspec.Struct):
    Name: str = ""


async def create(call: Call) -> None:
    """POST /networks/create"""
    name = (await call.json(_Name)).Name
    if not name:
        raise InvalidArgument("invalid name: ")
    if name in _PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {name} network ")
    raise Unsupported("user-defined networks are not supported by scow yet")


async def remove(call: Call) -> None:
    """DELETE /networks/{id}"""
    network = networks.get(call.engine, call.name)
    raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")


class _Container(msgspec.Struct):
    Container: str = ""


async def connect(call: Call) -> None:
    """POST /networks/{id}/connect and /disconnect"""
    body = await call.json(_Container)
    query.get(call.engine, body.Container)
    networks.get(call.engine, call.name)
    raise Unsupported("connecting a container to a further network is not supported by scow yet")


async def prune(call: Call) -> None:
    """POST /networks/prune: there is none that could be pruned."""
    for key in call.filters():
        if key not in _PRUNE_FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    call.send(PruneNetworks(None))

"""Routes of what scow does not do (yet): each refuses by name, with the status a client of Docker expects."""

from collections.abc import Awaitable, Callable

from scow.engine.images import query as images
from scow.errors import NotFound, Unavailable, Unsupported
from scow.server.docker.call import Call

Handler = Callable[[Call], Awaitable[None]]

_NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)


def refused(what: str) -> Handler:
    """501 that names what is missing."""

    async def handler(call: Call) -> None:
        raise Unsupported(f"{what} is not supported by scow yet")

    return handler


def refused_for_image(what: str) -> Handler:
    """404 for an unknown image, else 501."""

    async def handler(call: Call) -> None:
        images.get(call.engine, call.name)
        raise Unsupported(f"{what} is not supported by scow yet")

    return handler


async def checkpoints(call: Call) -> None:
    """Checkpoints of a container, to keep and to go on from."""
    raise Unsupported("checkpoints of containers are not supported by scow")


async def not_a_manager(call: Call) -> None:
    """Everything of a swarm, which this node is never part of."""
    raise Unavailable(_NOT_A_MANAGER)


async def not_in_a_swarm(call: Call) -> None:
    """POST /swarm/leave"""
    raise Unavailable("This node is not part of a swarm")


async def no_plugins(call: Call) -> None:
    """GET /plugins"""
    call.filters()
    call.send([])


async def no_such_plugin(call: Call) -> None:
    """Routes of one plugin: there is none."""
    raise NotFound(f'plugin "{call.name}" not found')

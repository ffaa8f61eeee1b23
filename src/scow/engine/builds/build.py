"""Build: an image, or something else, from a context and a Dockerfile."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from scow.background import complete
from scow.build.agents import DEFAULT, Agent
from scow.build.nodes import Nodes
from scow.build.request import BuildRequest, Deliver, Tell
from scow.engine.builds.runner import ContainerRunner
from scow.engine.containers import signals
from scow.engine.context import Engine
from scow.engine.images.push import push
from scow.errors import InvalidArgument, ScowError
from scow.model.event import Event
from scow.model.transfer import Sentence

if TYPE_CHECKING:
    from scow.build.export import Left

_log = logging.getLogger("scow.build")


def _give_back(contexts: Sequence[Nodes]) -> None:
    """Keep what the next build can use. What a crash or a full disk loses here is sent again."""
    with ExitStack() as closing:
        for context in contexts:
            closing.callback(context.close)
        for context in contexts:
            try:
                context.save()
            except (ScowError, OSError) as error:
                _log.warning("the files of a build context cannot be kept: %s", error)


async def build(
    engine: Engine, request: BuildRequest, archive: AsyncIterator[bytes], tell: Tell, deliver: Deliver, uid: int | None
) -> "Left":
    """What was built. `uid`: the client's user, where it is known.

    What was built before an error stays in the cache; nothing else is left of it.
    """
    for output in request.outputs:
        if output.push and not (output.names or request.names):
            raise InvalidArgument("a name is needed for an image that is to be pushed")
    uploads = engine.builder.uploads
    sent: dict[str, Nodes] = {}
    trees: list[Nodes] = []
    agents: dict[str, Agent] = {}
    try:
        for known_as, id_ in request.agents.items():
            agents[known_as] = engine.builder.agents.take(id_, uid)
        for known_as, id_ in request.sent.items():
            sent[known_as] = uploads.take(id_, uid)
            trees.append(sent[known_as])
        if request.context:
            context = uploads.take(request.context, uid)
        else:
            context = await engine.builder.receive(archive, request.remote, agents.get(DEFAULT))
        trees.append(context)
        runner = ContainerRunner(engine)
        left = await engine.builder.build(request, context, runner, signals.number, tell, deliver, sent, agents)
    finally:
        for agent in agents.values():
            agent.sock.close()
        await complete(asyncio.to_thread(_give_back, trees), "build-context")
    if left.image is not None:
        tell(Sentence(f"Successfully built {left.image.id.removeprefix('sha256:')[:12]}\n"))
        for name in left.names:
            attributes = {**left.image.config.labels, "name": name.familiar}
            engine.events.publish(Event("image", "tag", left.image.id, attributes, engine.clock()))
            tell(Sentence(f"Successfully tagged {name.familiar}\n"))
    for output in request.outputs:
        for name in (output.names or request.names) if output.push else ():
            await push(engine, name, False, "", request.credentials(name.domain), tell)
    return left

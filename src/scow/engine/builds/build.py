"""Build: an image from a context and a Dockerfile."""

from collections.abc import AsyncIterator

from scow.build.request import BuildRequest, Tell
from scow.engine.builds.runner import ContainerRunner
from scow.engine.containers import signals
from scow.engine.context import Engine
from scow.model.event import Event
from scow.model.image import Image
from scow.model.transfer import Sentence


async def build(engine: Engine, request: BuildRequest, archive: AsyncIterator[bytes], tell: Tell) -> Image:
    """The image. What was built before an error stays in the cache; nothing else is left of it."""
    context = await engine.builder.receive(archive, request.remote)
    try:
        image = await engine.builder.build(request, context, ContainerRunner(engine), signals.number, tell)
    finally:
        context.close()
    tell(Sentence(f"Successfully built {image.id.removeprefix('sha256:')[:12]}\n"))
    for name in request.names:
        attributes = {**image.config.labels, "name": name.familiar}
        engine.events.publish(Event("image", "tag", image.id, attributes, engine.clock()))
        tell(Sentence(f"Successfully tagged {name.familiar}\n"))
    return image

"""Tag: one more name for an image."""

from scow.engine.context import Engine
from scow.engine.images.platforms import is_id
from scow.model.event import Event
from scow.oci.reference import Reference


async def tag(engine: Engine, name: str, repo: str, tag: str = "") -> None:
    """`repo:tag` (latest when empty) names the image, for all its platforms, from now on; a former owner of the name loses it."""
    image = engine.images.resolve(name)
    source = None if is_id(image, name) else Reference.parse(name).with_default_tag()
    reference = Reference.parse(f"{repo}:{tag}" if tag else repo).with_default_tag()
    await engine.images.tag(image.id, reference, source)
    engine.events.publish(
        Event("image", "tag", image.id, {**image.config.labels, "name": reference.familiar}, engine.clock())
    )

"""Pull an image by reference."""

from collections.abc import Callable

from scow.engine.context import Engine
from scow.engine.ports import Credentials, PullProgress
from scow.model.event import Event
from scow.model.image import Image
from scow.oci.reference import Reference


async def pull(
    engine: Engine,
    reference: Reference,
    platform: str,
    credentials: Credentials | None,
    progress: Callable[[PullProgress], None],
) -> Image:
    """Fetch, verify, unpack, name. Cancel the caller to stop it."""
    image = await engine.images.pull(reference, platform, credentials, progress)
    engine.events.publish(
        Event(
            "image",
            "pull",
            reference.familiar,
            {**image.config.labels, "name": reference.familiar_name},
            engine.clock(),
        )
    )
    return image

"""Pull an image, or all images of a repository."""

from collections.abc import Callable, Sequence

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
) -> Sequence[Image]:
    """Fetch, verify, unpack, name. A reference without tag and digest means every tag of its repository. Cancel the
    caller to stop it.
    """
    images: Sequence[Image]
    if reference.tag is None and reference.digest is None:
        images = await engine.images.pull_all(reference, platform, credentials, progress)
    else:
        images = (await engine.images.pull(reference, platform, credentials, progress),)
    labels = images[0].config.labels if len(images) == 1 else {}
    engine.events.publish(
        Event("image", "pull", reference.familiar, {**labels, "name": reference.familiar_name}, engine.clock())
    )
    return images

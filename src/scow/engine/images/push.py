"""Push an image, or every tag of a repository, to its registry."""

from scow.engine.context import Engine
from scow.engine.ports import Credentials, PushReport
from scow.model.event import Event
from scow.oci.reference import Reference


async def push(
    engine: Engine,
    reference: Reference,
    every_tag: bool,
    platform: str,
    credentials: Credentials | None,
    progress: PushReport,
) -> None:
    """Bring what the registry lacks there. Cancel the caller to stop it."""
    await engine.images.push(reference, every_tag, platform, credentials, progress)
    name = reference.familiar_name if every_tag else reference.with_default_tag().familiar
    engine.events.publish(Event("image", "push", name, {"name": reference.familiar_name}, engine.clock()))

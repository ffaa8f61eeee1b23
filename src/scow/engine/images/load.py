"""Load images from an archive."""

from collections.abc import AsyncIterator, Callable

from scow.engine.context import Engine
from scow.engine.ports import PullProgress
from scow.model.event import Event


async def load(
    engine: Engine, archive: AsyncIterator[bytes], platform: str, progress: Callable[[PullProgress], None]
) -> list[str]:
    """Every image of the archive, or none. Returns Docker's sentences about them, each with its newline."""
    lines: list[str] = []
    nameless: list[str] = []
    for loaded in await engine.images.load(archive, platform, progress):
        image = engine.images.resolve(loaded.image_id)
        for name in loaded.names:
            before = loaded.replaced.get(name)
            if before:
                lines.append(
                    f"The image {name} already exists, renaming the old one with ID {before} to empty string\n"
                )
            lines.append(f"Loaded image: {name}\n")
        if not loaded.names:
            nameless.append(f"Loaded image ID: {loaded.image_id}\n")
        engine.events.publish(
            Event("image", "load", image.id, {**image.config.labels, "name": image.id}, engine.clock())
        )
    return lines or nameless  # Docker tells ids only when there is no name

"""What a build leaves: an image in the store."""

from scow.build.state import State
from scow.build.work import Work
from scow.images.compose import publish
from scow.model.image import Image


async def image(work: Work, state: State) -> Image:
    """The image of a state, with the names that were asked for. Either it is there with all of them, or nothing is."""
    parts, names = work.parts, work.request.names
    if state.base is not None and not state.stepped:
        for name in names:
            await parts.catalog.tag(state.base.id, name)
        if names:
            await parts.export()
        return parts.catalog.resolve(state.base.id)
    return await publish(parts, state.document(), state.layers, names)

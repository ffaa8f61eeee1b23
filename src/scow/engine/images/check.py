"""Check of the image store."""

from scow.engine.context import Engine
from scow.model import transitions
from scow.model.transfer import Checked


async def check(engine: Engine, repair: bool) -> Checked:
    """Every blob and layer, and what nothing names. Layers of running containers are looked at and left alone."""
    busy = {
        chain_id
        for entry in engine.containers
        if entry.container.status.state in transitions.RUNNING
        for chain_id in entry.container.layers
    }
    return await engine.images.check(repair, busy)

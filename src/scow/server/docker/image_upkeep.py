"""Routes that clean up images and check their store."""

from scow.api.image import DeletedItem, PruneImages
from scow.api.values import UNSET
from scow.engine.images import prune as pruning
from scow.server.docker.call import Call


async def prune(call: Call) -> None:
    """POST /images/prune"""
    pruned = await pruning.prune(call.engine, call.filters())
    items = [DeletedItem(item.untagged or UNSET, item.deleted or UNSET) for item in pruned.removed]
    call.send(PruneImages(items or None, pruned.freed))

"""Routes that clean up images and check their store."""

from scow.api.image import DeletedItem, PruneImages
from scow.api.system import CheckAnswer, CheckFinding
from scow.api.values import UNSET
from scow.engine.images import check as checking
from scow.engine.images import prune as pruning
from scow.server.docker.call import Call


async def prune(call: Call) -> None:
    """POST /images/prune"""
    pruned = await pruning.prune(call.engine, call.filters())
    items = [DeletedItem(item.untagged or UNSET, item.deleted or UNSET) for item in pruned.removed]
    call.send(PruneImages(items or None, pruned.freed))


async def check(call: Call) -> None:
    """POST /scow/system/check: the image store, with `repair` put right."""
    checked = await checking.check(call.engine, call.flag("repair"))
    findings = [
        CheckFinding(each.problem, each.kind, each.name, list(each.images), each.detail, each.remedy, each.failure)
        for each in checked.findings
    ]
    call.send(CheckAnswer(checked.blobs, checked.layers, findings))

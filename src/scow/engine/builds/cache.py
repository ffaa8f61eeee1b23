"""The build cache as its owner sees it: what is in it, and what of it has to go."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from scow.build.context_store import TYPE as SOURCE
from scow.build.mount_store import TYPE as MOUNT
from scow.engine.context import Engine
from scow.engine.images.filters import Filters, before_until, check_names
from scow.model.event import Event

_FILTERS = frozenset({"until", "unused-for", "id", "parent", "type", "description", "inuse", "shared", "private"})
_REGULAR = "regular"
_ID = 25


@dataclass(frozen=True, slots=True)
class CacheItem:
    """One thing in the cache: what a step made, or a directory of RUN --mount=type=cache. Sizes in bytes, times in Unix
    nanoseconds. `shared`: an image has the same layer, so that removing it frees nothing.
    """

    id: str
    type: str
    description: str
    size: int
    made_at: int
    used_at: int
    uses: int
    in_use: bool
    shared: bool
    key: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """`everything`: also what images share. In bytes, 0 for no wish: `reserved` of the most recently used stay in any case;
    no more than `most` stay; so much goes that `free` bytes of the file system are free. Without a wish all goes.
    """

    everything: bool = False
    reserved: int = 0
    most: int = 0
    free: int = 0
    filters: Filters | None = None


async def items(engine: Engine) -> list[CacheItem]:
    """All of it, what was used last at the end."""
    used = {chain_id for image in engine.images.images() for chain_id in image.chain_ids}
    rows = engine.builder.cache.rows()
    parents = {row.chain_id: row.key for row in rows if row.diff_id}
    found = [
        CacheItem(
            row.key[:_ID],
            _REGULAR,
            row.description,
            row.size,
            row.made_at,
            row.used_at,
            row.uses,
            False,
            bool(row.diff_id) and row.chain_id in used,
            row.key,
            parents.get(row.parent, "")[:_ID],
        )
        for row in rows
    ]
    for mount in await asyncio.to_thread(lambda: list(engine.builder.mounts.all())):
        found.append(
            CacheItem(
                mount.name[:_ID],
                MOUNT,
                f"cached mount {mount.id}",
                mount.size,
                mount.made_at,
                mount.used_at,
                1,
                mount.in_use,
                False,
                mount.name,
            )
        )
    for kept in await asyncio.to_thread(lambda: list(engine.builder.contexts.all())):
        what = f"files of the context {kept.name}"
        found.append(
            CacheItem(
                kept.key[:_ID], SOURCE, what, kept.size, kept.made_at, kept.used_at, 1, kept.in_use, False, kept.key
            )
        )
    return sorted(found, key=lambda item: item.used_at)


async def prune(engine: Engine, request: PruneRequest) -> tuple[list[str], int]:
    """(ids of what was removed, bytes that were freed)."""
    present = await items(engine)
    chosen = select(engine, present, request, engine.builder.available() if request.free else 0)
    steps = [item for item in chosen if item.type == _REGULAR]
    await engine.builder.cache.remove([item.key for item in steps])
    removals = {MOUNT: engine.builder.mounts.remove, SOURCE: engine.builder.contexts.remove}
    kept = [
        item for item in chosen if item.type in removals and not await asyncio.to_thread(removals[item.type], item.key)
    ]
    chosen = [item for item in chosen if item not in kept]
    freed = sum(item.size for item in chosen if not item.shared)
    engine.events.publish(Event("builder", "prune", "", {"reclaimed": str(freed)}, engine.clock()))
    return [item.id for item in chosen], freed


def select(engine: Engine, present: Sequence[CacheItem], request: PruneRequest, available: int = 0) -> list[CacheItem]:
    """What of `present` (what was used last at the end) goes. `available`: bytes of the file system that are free."""
    filters = dict(request.filters or {})
    filters.pop("label!", None)  # a prune of the whole system sends them here, too: nothing in the cache has a label
    if filters.pop("label", None):
        return []
    check_names(filters, _FILTERS)
    if "unused-for" in filters:
        filters["until"] = filters.pop("unused-for")
    until = before_until(engine, filters)
    chosen = [
        item
        for item in present
        if not item.in_use
        and (request.everything or not item.shared)
        and (not until or item.used_at <= until)
        and _matches(item, filters)
    ]
    if not (request.reserved or request.most or request.free):
        return chosen
    total = sum(item.size for item in present if not item.shared)
    kept = _kept(request, total, available)
    gone: list[CacheItem] = []
    for item in chosen:
        if total <= kept:
            break
        gone.append(item)
        total -= 0 if item.shared else item.size
    return gone


def _kept(request: PruneRequest, total: int, available: int) -> int:
    """How many bytes stay of `total`: the ceilings, but no less than the floor."""
    if not (request.most or request.free):
        return request.reserved
    kept = min(total, request.most) if request.most else total
    if request.free > available:
        kept = min(kept, max(total - (request.free - available), 0))
    return max(kept, request.reserved)


def _matches(item: CacheItem, filters: Filters) -> bool:
    texts = {"id": item.id, "parent": item.parent, "type": item.type, "description": item.description}
    for name, text in texts.items():
        values = filters.get(name)
        if values and not any(value == text or name == "id" and text.startswith(value) for value in values):
            return False
    truths = {"inuse": item.in_use, "shared": item.shared, "private": not item.shared}
    return all(truths[name] for name in truths if name in filters)

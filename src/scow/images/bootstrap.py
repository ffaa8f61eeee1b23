"""`scow image bootstrap`: starter images without a hub.

It runs in the daemon, because the store is the daemon's: the images are there for everybody at once. What is built is
built by the host's package tools from signed packages; nothing is kept between runs but the images themselves.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence

from scow.errors import InvalidArgument, NotFound
from scow.images.compose import Recipe, compose
from scow.images.starter import busybox, debian, nginx
from scow.images.store import LocalImageStore
from scow.model.image import Image
from scow.model.transfer import PullProgress
from scow.oci.reference import Reference

ALL = ("busybox", "debian", "nginx")
_CONFIGS: Mapping[str, Mapping[str, object]] = {
    "busybox": busybox.CONFIG,
    "debian": debian.CONFIG,
    "nginx": nginx.CONFIG,
}
_CREATED_BY = {"busybox": busybox.CREATED_BY, "debian": debian.CREATED_BY, "nginx": nginx.CREATED_BY}

Report = Callable[[PullProgress], None]


async def bootstrap(store: LocalImageStore, names: Sequence[str], progress: Report) -> list[Image]:
    """Build the named images (all when none is named) and tag them: busybox, debian, debian:<release>, nginx.

    An image that has its name already is built anew and takes the name over.
    """
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise InvalidArgument(f"no starter image is called {unknown[0]!r}: there are {', '.join(ALL)}")
    return [await _one(store, name, progress) for name in ALL if name in (names or ALL)]


async def _one(store: LocalImageStore, name: str, progress: Report) -> Image:
    progress(PullProgress(f"Building {name} from the distribution's packages"))
    base = await _debian(store, progress) if name == "nginx" else None
    work = tempfile.mkdtemp(prefix=f"{name}-", dir=store.parts.scratch)
    tree = f"{work}/tree"
    os.mkdir(tree, 0o755)
    try:
        await _build(store, name, tree, work, base, _teller(name, progress))
        recipe = Recipe(
            tree=tree,
            names=_names(name),
            created_by=_CREATED_BY[name],
            base=base,
            config=_CONFIGS[name],
            created=os.stat(f"{tree}/bin").st_mtime if name == "busybox" else None,
        )
        image = await compose(store.parts, recipe)
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    progress(PullProgress(f"Status: Built {', '.join(image.tags)} ({image.id[7:19]})"))
    return image


def _teller(name: str, progress: Report) -> Callable[[str], None]:
    """Passes on what package tools say, without the counters that they draw for terminals."""

    def tell(text: str) -> None:
        if not text.startswith("(Reading database"):
            progress(PullProgress(text, name))

    return tell


async def _build(
    store: LocalImageStore, name: str, tree: str, work: str, base: Image | None, tell: Callable[[str], None]
) -> None:
    if name == "busybox":
        await busybox.build(tree, work, tell)
    elif name == "debian":
        await debian.build(tree, work, tell)
    else:
        layers = store.parts.catalog.layers
        chain = base.chain_ids if base is not None else ()
        lowers = [store.parts.trees.path(layers[chain_id].directory) for chain_id in reversed(chain)]
        await nginx.build(tree, work, tell, lowers)


async def _debian(store: LocalImageStore, progress: Report) -> Image:
    try:
        return store.resolve(f"debian:{debian.codename()}")
    except NotFound:
        return await _one(store, "debian", progress)


def _names(name: str) -> tuple[Reference, ...]:
    tags = ["latest", debian.codename()] if name == "debian" else ["latest"]
    return tuple(Reference.parse(f"{name}:{tag}") for tag in tags)

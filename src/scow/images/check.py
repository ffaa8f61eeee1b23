"""Check of the image store: is every blob there and what its digest says, every layer what its blob says, and nothing
else on the disk? With repair: bad blobs are fetched again from where their image came, bad layers unpacked again.

Everything that the records name is held while it is looked at, so that nobody removes it meanwhile. A layer has no digest
of its own: it is unpacked once more beside the one that is there, and the two trees are compared.
"""

import asyncio
import os
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from scow.background import complete
from scow.errors import ScowError
from scow.images import mend
from scow.images.blobs import BlobStore
from scow.images.catalog import read_config
from scow.images.compare import difference
from scow.images.parts import Parts
from scow.metadata.images import LayerRow
from scow.model.transfer import Checked, Finding
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest

_CHUNK = 4 << 20
_SETTLE = 0.2  # seconds between the two looks for orphans
_YOUNG = 10.0  # seconds: a file that has just come may belong to an operation that is about to say so


@dataclass(slots=True)
class _Run:
    """One check. `busy`: chain ids of layers that running containers have mounted."""

    parts: Parts
    repair: bool
    busy: Container[str]
    begun: float
    findings: list[Finding]
    bad: set[str]

    def found(self, finding: Finding) -> None:
        self.findings.append(finding)


async def check(parts: Parts, repair: bool, busy: Container[str] = frozenset()) -> Checked:
    """See ImageStore.check."""
    run = _Run(parts, repair, busy, time.time(), [], set())
    catalog = parts.catalog
    blobs, layers = catalog.all_blobs(), list(catalog.layers.values())
    try:
        with catalog.hold([*blobs, *(layer.chain_id for layer in layers)]):
            for digest, size in blobs.items():
                await _blob(run, Digest(digest), size)
            await _images(run)
            for layer in layers:
                await _layer(run, layer)
            if run.repair:
                await parts.export()
    finally:
        await complete(parts.give_up([layer.chain_id for layer in layers], list(blobs)), "check: tidy")
    await _orphans(run)
    return Checked(len(blobs), len(layers), tuple(run.findings))


# ---------------------------------------------------------------- blobs


async def _blob(run: _Run, digest: Digest, size: int) -> None:
    problem = await run.parts.run(blob_problem, run.parts.blobs, digest, size)
    if not problem:
        return
    images = run.parts.catalog.images_with(digest)
    finding = Finding(problem, "blob", str(digest), tuple(images))
    if run.repair:
        try:
            finding = replace(finding, remedy=await mend.fetch(run.parts, digest, size, images))
        except ScowError as error:
            finding = replace(finding, failure=error.message)
    if not finding.remedy:
        run.bad.add(str(digest))
    run.found(finding)


def blob_problem(blobs: BlobStore, digest: Digest, size: int) -> str:
    """ "missing", "damaged", or "" for a blob that is what its digest says. Runs in a worker thread."""
    import hashlib

    hasher = hashlib.new(digest.algorithm)
    try:
        with open(blobs.path(digest), "rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size != size:
                return "damaged"
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"
    return "" if hasher.hexdigest() == digest.hex else "damaged"


async def _images(run: _Run) -> None:
    """Images that could not be read at the start can be used again once their config is there."""
    for image_id, row in list(run.parts.catalog.broken.items()):
        try:
            await run.parts.catalog.mend(image_id, await run.parts.run(read_config, row, run.parts.blobs))
        except ScowError as error:
            run.found(Finding("damaged", "image", image_id, (image_id,), failure=error.message))
        else:
            run.found(Finding("damaged", "image", image_id, (image_id,), remedy="read again"))


# ---------------------------------------------------------------- layers


async def _layer(run: _Run, layer: LayerRow) -> None:
    parts = run.parts
    source = await parts.run(_source, parts, layer)
    path = parts.trees.path(layer.directory)
    if source is None or str(source[0].digest) in run.bad:
        if not os.path.isdir(path):
            run.found(Finding("missing", "layer", layer.chain_id, (), failure="its blob is not here"))
        return
    descriptor, below = source
    try:
        fresh = await mend.unpack(parts, layer, descriptor, below)
    except ScowError as error:
        run.found(Finding("damaged", "layer", layer.chain_id, (), failure=error.message))
        return
    try:
        problem = await parts.run(_compare, path, parts.trees.path(fresh.directory))
        if not problem:
            return
        kind = "damaged" if os.path.isdir(path) else "missing"
        finding = Finding(kind, "layer", layer.chain_id, (), detail=problem)
        if run.repair and layer.chain_id in run.busy:
            finding = replace(finding, failure="a running container uses it: stop it first")
        elif run.repair:
            await complete(mend.exchange(parts, layer, fresh), "exchange a layer")
            fresh = replace(fresh, directory="")
            finding = replace(finding, remedy="unpacked again")
        run.found(finding)
    finally:
        if fresh.directory:
            parts.trees.remove(fresh.directory)


def _source(parts: Parts, layer: LayerRow) -> tuple[Descriptor, tuple[str, ...]] | None:
    """The blob of a layer and the chain below it, by the manifest of an image that has it."""
    for image in parts.catalog.images():
        if layer.chain_id not in image.chain_ids:
            continue
        number = image.chain_ids.index(layer.chain_id)
        try:
            manifest, _ = parts.manifest(parts.catalog.require(image.id))
        except ScowError:
            continue
        return manifest.layers[number], image.chain_ids[:number]
    return None


def _compare(path: str, fresh: str) -> str:
    try:
        return difference(path, fresh)
    except OSError as error:
        return f"{error.filename or path}: {(error.strerror or str(error)).lower()}"


# ---------------------------------------------------------------- what nothing names


async def _orphans(run: _Run) -> None:
    """Looked for twice: between an operation's end and its tidying things belong to nobody for a moment."""
    parts = run.parts
    first = await _unnamed(run)
    if not any(first):
        return
    await asyncio.sleep(_SETTLE)
    chains, blobs, directories = (now & before for now, before in zip(await _unnamed(run), first, strict=True))
    remedy = "removed" if run.repair else ""
    for kind, names in (("layer", chains), ("blob", blobs), ("directory", directories)):
        for name in sorted(names):
            run.found(Finding("orphaned", kind, name, (), remedy=remedy))
    if run.repair:
        await complete(parts.give_up(sorted(chains), sorted(blobs)), "check: orphans")
        for name in directories - parts.catalog.directories_in_use():
            parts.trees.remove(name)


async def _unnamed(run: _Run) -> tuple[set[str], set[str], set[str]]:
    """(chain ids, blobs, directories) that nothing names or holds just now."""
    parts = run.parts
    files = await parts.run(lambda: list(_old_blobs(run)))
    names = await parts.run(os.listdir, parts.trees.root)
    in_use = parts.catalog.blobs_in_use()
    blobs = {str(digest) for digest in files if str(digest) not in in_use and parts.blobs.has(digest)}
    used = parts.catalog.directories_in_use()
    directories = {
        name
        for name in names
        if name not in used and not parts.trees.in_the_making(name) and os.path.isdir(parts.trees.path(name))
    }
    return set(parts.catalog.orphans()), blobs, directories


def _old_blobs(run: _Run) -> Iterator[Digest]:
    root = f"{run.parts.blobs.root}/blobs"
    for algorithm in os.listdir(root):
        for name in os.listdir(f"{root}/{algorithm}"):
            try:
                digest = Digest.parse(f"{algorithm}:{name}")
                if os.stat(f"{root}/{algorithm}/{name}").st_mtime < run.begun - _YOUNG:
                    yield digest
            except (ScowError, FileNotFoundError):
                continue

"""Load: an archive of images from outside becomes images of this store, all of them or none.

The archive is spooled into scratch files (their digests taken on the way), its documents are read, the layers that are
not there are unpacked and verified; then one sync, and the images appear one after another. A layer is kept as it came
when the archive has a manifest that names it; a plain tar without one is kept compressed.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from scow.background import complete
from scow.errors import Internal, ScowError
from scow.images import config as config_documents
from scow.images.blobs import BlobStore, Ingest
from scow.images.decompress import Decompressed
from scow.images.layer import CorruptLayer, unpack_into
from scow.images.layouts import Candidate, candidates
from scow.images.lowerlinks import finished
from scow.images.packer import Packer
from scow.images.parts import Parts
from scow.images.pipe import through
from scow.images.progress import Report
from scow.images.spool import Spool, SpooledFile, spool
from scow.images.trees import delete_tree
from scow.images.unpack import Unpacked
from scow.metadata.images import ImageRow, LayerRow
from scow.model.image import Image
from scow.model.transfer import Loaded, PullProgress
from scow.oci import manifest as manifests
from scow.oci import media
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.image import chain_ids
from scow.oci.manifest import Manifest, render_manifest
from scow.oci.platform import Platform

_LEVEL = 2
_READ = 1 << 20
_KINDS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


@dataclass(slots=True)
class _Layer:
    """A layer to be brought: where it lies in its chain, its file, the blob it has to be ("" media type: any)."""

    chain_id: str
    below: tuple[str, ...]
    diff_id: str
    file: SpooledFile
    wanted: Descriptor | None
    short: str = ""


@dataclass(slots=True)
class _Brought:
    descriptor: Descriptor
    directory: str = ""
    unpacked: Unpacked | None = None
    ingest: Ingest | None = None  # a blob that was made here and has no name yet


@dataclass(slots=True)
class _Plan:
    """What a load brings: images, and the layers' blobs by (chain id, the wanted blob). `held` is known before, `holds`
    keeps what turns up on the way: blobs of other images that are used again, and those made here.
    """

    images: list[Candidate]
    held: list[str] = field(default_factory=list)
    holds: ExitStack = field(default_factory=ExitStack)
    brought: dict[tuple[str, str], Descriptor] = field(default_factory=dict)

    def hold(self, parts: Parts, digests: Iterable[str]) -> None:
        """Keep blobs until the load is over, who then looks whether they are still needed."""
        names = list(digests)
        self.holds.enter_context(parts.catalog.hold(names))
        self.held += names


async def load(
    parts: Parts, archive: AsyncIterator[bytes], platform: Platform | None, report: Report
) -> Sequence[Loaded]:
    """See ImageStore.load."""
    directory = f"{parts.scratch}/load-{secrets.token_hex(8)}"
    os.mkdir(directory, 0o700)
    try:
        spooled = await _spool(parts, archive, directory)
        plan = _Plan(await parts.run(_read, spooled, platform))
        for image in plan.images:
            plan.held += [*chain_ids(image.config.diff_ids), *_digests(image)]
        try:
            with parts.catalog.hold(plan.held), plan.holds:
                await complete(_bring(parts, plan, report), "load layers")
                return await complete(_publish(parts, plan), "load")
        finally:
            chains = [chain_id for image in plan.images for chain_id in chain_ids(image.config.diff_ids)]
            await complete(parts.give_up(chains, [name for name in plan.held if name not in chains]), "load: tidy")
    finally:
        await complete(parts.run(delete_tree, directory), "load: scratch")


def _read(spooled: Spool, platform: Platform | None) -> list[Candidate]:
    found = candidates(spooled, platform)
    for each in found:
        config_documents.container_config(each.config.config)
        if each.manifest is not None and not all(map(_compressed, each.manifest.layers)):
            each.manifest, each.manifest_data, each.documents = None, b"", {}  # its layers will be other blobs
    return found


def _compressed(layer: Descriptor) -> bool:
    return any(mark in layer.media_type for mark in ("+", "gzip", "zstd"))


def _digests(image: Candidate) -> list[str]:
    layers = [str(layer.digest) for layer in (image.manifest.layers if image.manifest else ())]
    layers += [str(file.digest) for file in image.layers]
    return [str(image.id), *map(str, image.documents), *layers, str(Digest.of(image.manifest_data))]


async def _spool(parts: Parts, archive: AsyncIterator[bytes], directory: str) -> Spool:
    return await through(archive, lambda read: parts.submit(spool, read, directory, parts.limits))


# ---------------------------------------------------------------- layers


async def _bring(parts: Parts, plan: _Plan, report: Report) -> None:
    """Every layer into the store and the catalog; all threads have ended when this returns or raises."""
    jobs: dict[tuple[str, str], _Layer] = {}
    for image in plan.images:
        for layer in _layers(image):
            jobs.setdefault(_key(layer), layer)
    for key, local in (await parts.run(_here, parts, jobs)).items():
        plan.hold(parts, [local.digest])
        if parts.blobs.has(local.digest):  # still, now that it is held
            plan.brought[key] = local
            del jobs[key]
    first: dict[str, _Layer] = {}
    for layer in jobs.values():
        if layer.chain_id not in parts.catalog.layers:
            first.setdefault(layer.chain_id, layer)
    results = await asyncio.gather(
        *(_one(parts, plan, layer, first.get(layer.chain_id) is layer, report) for layer in jobs.values()),
        return_exceptions=True,
    )
    brought = dict(zip(jobs, results, strict=True))
    failed = next((each for each in results if isinstance(each, BaseException)), None)
    try:
        if failed is not None:
            raise failed
        for key, layer in sorted(jobs.items(), key=lambda item: len(item[1].below)):
            result = brought[key]
            assert isinstance(result, _Brought)
            plan.brought[key] = result.descriptor
            if result.directory:
                await _arrive(parts, layer, result)
    finally:
        for result in results:
            if isinstance(result, _Brought) and result.directory:
                parts.trees.remove(result.directory)


def _layers(image: Candidate) -> list[_Layer]:
    chain = chain_ids(image.config.diff_ids)
    return [
        _Layer(
            chain_id,
            chain[:number],
            image.config.diff_ids[number],
            image.layers[number],
            image.manifest.layers[number] if image.manifest else None,
            Digest(image.config.diff_ids[number]).short,
        )
        for number, chain_id in enumerate(chain)
    ]


def _key(layer: _Layer) -> tuple[str, str]:
    return layer.chain_id, str(layer.wanted.digest) if layer.wanted else ""


def _here(parts: Parts, layers: Mapping[tuple[str, str], _Layer]) -> dict[tuple[str, str], Descriptor]:
    """The blobs of the layers that are here already. Runs in a worker thread."""
    found = {key: _local(parts, layer) for key, layer in layers.items()}
    return {key: local for key, local in found.items() if local is not None}


def _local(parts: Parts, layer: _Layer) -> Descriptor | None:
    """The blob of a layer that is here, unpacked, already: the very one that is wanted, or any of that content."""
    if layer.chain_id not in parts.catalog.layers:
        return None
    if layer.wanted is not None:
        return layer.wanted if parts.blobs.has(layer.wanted.digest) else None
    for image in parts.catalog.images():
        if layer.diff_id not in image.diff_ids:
            continue
        try:
            manifest, _ = parts.manifest(parts.catalog.require(image.id))
        except ScowError:  # another image's damage
            continue
        descriptor = manifest.layers[image.diff_ids.index(layer.diff_id)]
        if parts.blobs.has(descriptor.digest):
            return descriptor
    return None


async def _one(parts: Parts, plan: _Plan, layer: _Layer, unpack: bool, report: Report) -> _Brought:
    """Bring one layer. A blob made here gets its name only when it is held: another image may lose the same one now."""
    last = -1

    def tell(done: int) -> None:
        nonlocal last
        step = done * 20 // max(layer.file.size, 1)
        if step != last:
            last = step
            report(PullProgress("Loading layer", layer.short, done, layer.file.size))

    brought = await parts.run(_store, layer, unpack, parts, tell)
    if brought.ingest is not None:
        try:
            plan.hold(parts, [brought.descriptor.digest])
            brought.ingest.commit(brought.descriptor.digest)
        except BaseException:
            if brought.directory:
                parts.trees.remove(brought.directory)
            raise
        finally:
            brought.ingest.close()
    return brought


def _store(layer: _Layer, unpack: bool, parts: Parts, tell: Callable[[int], None]) -> _Brought:
    """Verify a layer's file, unpack it when that is wanted, and make it a blob. Runs in a worker thread."""
    kind = _kind(layer.file)
    directory = parts.trees.create() if unpack else ""
    ingest = parts.blobs.ingest() if not kind and layer.wanted is None else None
    done = False
    try:
        packer = Packer(ingest, _LEVEL) if ingest is not None else None
        with open(layer.file.path, "rb", buffering=0) as stream:

            def read() -> bytes:
                tell(stream.tell())
                return stream.read(_READ)

            plain = Decompressed(read, parts.limits)

            def source() -> bytes:
                chunk = plain()
                if packer is not None:
                    packer.feed(chunk)
                return chunk

            unpacked = unpack_into(parts.trees.path(directory), source, parts.limits) if unpack else None
            while source():
                pass
        if plain.digest() != layer.diff_id:
            raise CorruptLayer(
                f"layer {layer.short}: its content is {plain.digest()}, not the diff id {layer.diff_id} of the config"
            )
        if packer is not None:
            descriptor = packer.finish()
        else:
            descriptor = layer.wanted or Descriptor(f"{media.OCI_LAYER}+{kind}", layer.file.digest, layer.file.size)
            _keep(layer.file, parts.blobs)
        done = True
        return _Brought(descriptor, directory, unpacked, ingest)
    finally:
        if ingest is not None and not done:
            ingest.close()
        if directory and not done:
            parts.trees.remove(directory)


def _kind(file: SpooledFile) -> str:
    with open(file.path, "rb") as stream:
        start = stream.read(4)
    return next((kind for magic, kind in _KINDS if start.startswith(magic)), "")


def _keep(file: SpooledFile, blobs: BlobStore) -> None:
    """A copy by name only: another image of the archive may need the file, too."""
    if blobs.has(file.digest):
        return
    link = f"{file.path}.{secrets.token_hex(6)}"
    os.link(file.path, link)
    blobs.adopt(link, file.digest)


async def _arrive(parts: Parts, layer: _Layer, brought: _Brought) -> None:
    """The directory becomes a layer of the catalog. From here on it is the catalog's."""
    unpacked = brought.unpacked
    assert unpacked is not None
    row = LayerRow(layer.chain_id, layer.diff_id, brought.directory, 0)
    brought.directory = ""
    row = await finished(parts, row, unpacked, layer.below)
    await parts.arrive(row)


# ---------------------------------------------------------------- images


async def _publish(parts: Parts, plan: _Plan) -> list[Loaded]:
    """Documents into the store, everything onto the disk, then the rows."""
    documents: dict[Digest, bytes] = {}
    rows = [_documents(parts, plan, image, documents) for image in plan.images]
    await parts.run(parts.blobs.put_all, documents)
    loaded = []
    for image, (row, blobs) in zip(plan.images, rows, strict=True):
        before = {name: [old.id for old in parts.catalog.named(name)][:1] for name in image.names}
        chain = chain_ids(image.config.diff_ids)
        missing = [chain_id for chain_id in chain if chain_id not in parts.catalog.layers]
        if missing:
            raise Internal(f"layer {missing[0]} of {image.id} was not unpacked")
        layers = [parts.catalog.layers[chain_id] for chain_id in chain]
        top = str(next(iter(image.documents), row.manifest))
        added: Image = await parts.catalog.add(row, image.config, blobs, layers, image.names, top=top)
        replaced = {
            name.familiar: old for name in before for old in before[name] if old not in parts.catalog.names.owners(name)
        }
        loaded.append(Loaded(added.id, tuple(name.familiar for name in image.names), replaced))
    await parts.export()
    return loaded


def _documents(
    parts: Parts, plan: _Plan, image: Candidate, stored: dict[Digest, bytes]
) -> tuple[ImageRow, list[tuple[str, int]]]:
    """The image's row and all its blobs; its documents are held, and put into `stored` to be written."""
    config = Descriptor(media.OCI_CONFIG, image.id, len(image.config_data))
    layers = [plan.brought[_key(layer)] for layer in _layers(image)]
    manifest, data = image.manifest, image.manifest_data
    if manifest is None:
        data = render_manifest(config, layers)
        manifest = Manifest(media.OCI_MANIFEST, config, tuple(layers))
    listed = manifests.as_oci(manifest, data)
    digest, listed_digest = Digest.of(data), Digest.of(listed)
    documents = {**image.documents, image.id: image.config_data, digest: data, listed_digest: listed}
    plan.hold(parts, documents)  # another image may lose the same ones now
    stored |= documents
    row = ImageRow(
        id=str(image.id),
        manifest=str(digest),
        media_type=manifest.media_type,
        manifest_size=len(data),
        listed=str(listed_digest),
        listed_size=len(listed),
        parent=_parent(parts, plan, image),
        stored_at=parts.clock(),
    )
    blobs = [(str(name), len(content)) for name, content in documents.items()]
    return row, blobs + [(str(layer.digest), layer.size) for layer in layers]


def _parent(parts: Parts, plan: _Plan, image: Candidate) -> str:
    """The parent that the archive names, when that is an image whose history is this one's but for the last step."""
    known = next((each.config for each in plan.images if each.id == image.parent), None)
    if known is None and parts.catalog.get(image.parent) is not None:
        known = parts.catalog.config(image.parent)
    if known is None or image.parent == image.id:
        return ""
    return image.parent if image.config.history[:-1] == known.history else ""

"""Pull: from a reference to an image in the catalog.

Manifest and config first: they say which layers there are already. The other layers come in parallel, each through one
pass (see layer.py). Then one sync, one transaction, and the image is there; before that nobody sees anything of it.

What a pull that broke off has brought stays in the ingest area (see blobs.py). The next one reads it from there, hashing
and unpacking as if it came from the network, and asks the registry for the rest only.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from scow.background import complete
from scow.errors import DataLoss, Internal, NotFound, ResourceExhausted
from scow.images import config as config_documents
from scow.images.blobs import Ingest
from scow.images.decompress import Source
from scow.images.layer import Stored, first_error, store_blob, store_layer, unpack_stored
from scow.images.lowerlinks import finished
from scow.images.parts import Parts
from scow.images.pipe import settle, through
from scow.images.progress import LayerProgress, Report
from scow.images.registry.client import RegistryClient, find_manifest, find_tags, manifest_digest
from scow.metadata.images import ImageRow, LayerRow
from scow.model.image import Image
from scow.model.transfer import Credentials, PullProgress
from scow.oci import image as image_documents
from scow.oci import manifest as manifests
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.image import ImageConfig, chain_ids
from scow.oci.manifest import Index, Manifest
from scow.oci.platform import Platform, host_platform
from scow.oci.reference import Reference


class NoSuchPlatform(NotFound):
    """The repository has the image, but not for this platform."""


@dataclass(slots=True)
class _Wanted:
    """What a reference led to: documents as they came, and what they mean."""

    reference: Reference
    top: Digest
    documents: dict[Digest, bytes]
    manifest_digest: Digest
    manifest: Manifest
    config: ImageConfig
    listed: Digest
    chain: tuple[Digest, ...] = ()
    layers: dict[str, LayerRow] = field(default_factory=dict)

    @property
    def blobs(self) -> list[tuple[str, int]]:
        layers = [(str(layer.digest), layer.size) for layer in self.manifest.layers]
        return [*((str(digest), len(data)) for digest, data in self.documents.items()), *layers]


async def pull(
    parts: Parts, reference: Reference, platform: str, credentials: Credentials | None, report: Report
) -> Image:
    """See ImageStore.pull."""
    wanted_platform = Platform.parse(platform) if platform else None
    reference = reference.with_default_tag()
    client, data, content_type = await find_manifest(reference, parts.settings, credentials)
    try:
        image, fresh = await _one(parts, client, reference, data, content_type, wanted_platform, report)
    finally:
        await client.close()
    report(PullProgress(f"Status: {_outcome(fresh)} for {reference.familiar}"))
    return image


async def pull_all(
    parts: Parts, repository: Reference, platform: str, credentials: Credentials | None, report: Report
) -> list[Image]:
    """See ImageStore.pull_all. One after the other, in the registry's order; the first failure ends it."""
    wanted_platform = Platform.parse(platform) if platform else None
    client, tags = await find_tags(repository, parts.settings, credentials)
    images, any_fresh = [], False
    try:
        for tag in tags:
            reference = repository.with_tag(tag)
            data, content_type = await client.manifest(reference)
            image, fresh = await _one(parts, client, reference, data, content_type, wanted_platform, report)
            images.append(image)
            any_fresh = any_fresh or fresh
    finally:
        await client.close()
    report(PullProgress(f"Status: {_outcome(any_fresh)} for {repository.familiar}"))
    return images


def _outcome(fresh: bool) -> str:
    return "Downloaded newer image" if fresh else "Image is up to date"


async def _one(
    parts: Parts,
    client: RegistryClient,
    reference: Reference,
    data: bytes,
    content_type: str,
    platform: Platform | None,
    report: Report,
) -> tuple[Image, bool]:
    """(the image of a manifest, whether the reference did not mean it before)."""
    report(PullProgress(f"Pulling from {reference.path}", str(reference.digest or reference.tag)))
    wanted = await _documents(client, reference, data, content_type, platform)
    known = parts.catalog.get(str(wanted.manifest.config.digest))
    before = {image.id for image in parts.catalog.named(reference)}
    blobs, layers = [digest for digest, _ in wanted.blobs], [layer.digest for layer in wanted.manifest.layers]
    try:
        with parts.catalog.hold([*wanted.chain, *blobs]):
            if known is None or not all(map(parts.blobs.has, layers)):
                await _fetch_layers(parts, client, wanted, report)
            image = await complete(_publish(parts, wanted), "publish")
    except BaseException as error:
        await complete(parts.give_up(wanted.chain, blobs), "give-up")
        if isinstance(error, ResourceExhausted):  # what is kept for the next pull may be what fills the disk
            await complete(parts.run(parts.blobs.forget, layers), "forget downloads")
        raise
    # What was held may have lost its image meanwhile.
    await complete(parts.give_up(wanted.chain, blobs), "tidy")
    await complete(parts.run(parts.blobs.forget, layers), "forget downloads")
    report(PullProgress(f"Digest: {wanted.top}"))
    return image, image.id not in before


async def _documents(
    client: RegistryClient, reference: Reference, data: bytes, content_type: str, platform: Platform | None
) -> _Wanted:
    """Manifest and config, checked against each other and against the platform."""
    top = manifest_digest(data, reference)
    documents = {top: data}
    document = manifests.parse(data, content_type)
    digest = top
    if isinstance(document, Index):
        choice = document.choose(platform or host_platform())
        if choice is None:
            raise NoSuchPlatform(f"no matching manifest for {platform or host_platform()} in the manifest list entries")
        digest = choice.digest
        data, content_type = await client.manifest(reference.with_digest(digest))
        if len(data) != choice.size:
            raise DataLoss(f"manifest verification failed for digest {digest}")
        documents[digest] = data
        document = manifests.parse(data, content_type, choice.media_type)
    if not isinstance(document, Manifest):
        raise DataLoss(f"manifest {digest.short} is an index within an index")
    config_data = await client.config(reference, document.config)
    documents[document.config.digest] = config_data
    config = image_documents.parse(config_data)
    if len(config.diff_ids) != len(document.layers):
        raise DataLoss(
            f"manifest {digest.short} has {len(document.layers)} layers, its config {len(config.diff_ids)} diff ids"
        )
    config_documents.container_config(config.config)
    actual = Platform.normalised(config.os, config.architecture, config.variant)
    if platform is not None and platform.runs(actual) is None:
        raise NoSuchPlatform(
            f"image with reference {reference.familiar} was found but does not match the specified platform: "
            f"wanted {platform}, actual: {actual}"
        )
    listed_data = manifests.as_oci(document, data)
    listed = Digest.of(listed_data)
    documents[listed] = listed_data
    return _Wanted(reference, top, documents, digest, document, config, listed, chain_ids(config.diff_ids))


async def _fetch_layers(parts: Parts, client: RegistryClient, wanted: _Wanted, report: Report) -> None:
    """Bring every layer that is not there; fill wanted.layers."""
    missing: list[int] = []
    for number, (chain_id, descriptor) in enumerate(zip(wanted.chain, wanted.manifest.layers, strict=True)):
        row = _existing(parts, chain_id, wanted.config.diff_ids[number])
        if row is not None:
            wanted.layers[chain_id] = parts.catalog.layers.setdefault(chain_id, row)
        if row is not None and parts.blobs.has(descriptor.digest):
            report(PullProgress("Already exists", descriptor.digest.short))
        else:
            report(PullProgress("Pulling fs layer", descriptor.digest.short))
            missing.append(number)
    await parts.run(_need_space, parts, [wanted.manifest.layers[number] for number in missing])
    done = {number: asyncio.Event() for number in missing}
    try:
        async with asyncio.TaskGroup() as group:
            for number in missing:
                group.create_task(_one_layer(parts, client, wanted, number, report, done), name=f"layer-{number}")
    except BaseExceptionGroup as error:
        raise first_error(error) from None


def _need_space(parts: Parts, layers: Sequence[Descriptor]) -> None:
    """NoSpace when what is to be downloaded does not fit, before the first byte of it. Runs in a thread."""
    parts.blobs.forget_older()
    sizes = {layer.digest: layer.size for layer in layers if not parts.blobs.has(layer.digest)}
    parts.blobs.need(sum(max(0, size - parts.blobs.kept(digest)) for digest, size in sizes.items()))


def _existing(parts: Parts, chain_id: str, diff_id: str) -> LayerRow | None:
    """The layer at that place in a chain; the same content at another place does as well."""
    row = parts.catalog.layers.get(chain_id)
    if row is not None:
        return row
    same = parts.catalog.layer_of_diff(diff_id)
    return LayerRow(chain_id, diff_id, same.directory, same.size) if same is not None else None


async def _one_layer(
    parts: Parts,
    client: RegistryClient,
    wanted: _Wanted,
    number: int,
    report: Report,
    done: dict[int, asyncio.Event],
) -> None:
    """Fetch a layer, together with whoever else wants it now; say "Pull complete" in the order of the layers."""
    descriptor = wanted.manifest.layers[number]
    chain_id = wanted.chain[number]
    key = (chain_id, descriptor.digest)
    progress = parts.progress.setdefault(key, LayerProgress(descriptor.digest.short, descriptor.size))
    progress.listen(report)
    unpack = chain_id not in wanted.layers

    async def work() -> None:
        shared = client.share()
        try:
            await _download(parts, shared, wanted, number, unpack, progress)
        finally:
            parts.progress.pop(key, None)
            await shared.close()

    await parts.inflight.run(key, work, f"layer-{descriptor.digest.short}")
    for earlier in [event for other, event in done.items() if other < number]:
        await earlier.wait()
    progress.extracting(descriptor.size)
    report(PullProgress("Pull complete", descriptor.digest.short))
    done[number].set()


async def _download(
    parts: Parts,
    client: RegistryClient,
    wanted: _Wanted,
    number: int,
    unpack: bool,
    progress: LayerProgress,
) -> None:
    """Bring a blob into the store and, with `unpack`, into a directory that the catalog then knows."""
    descriptor = wanted.manifest.layers[number]
    chain, diff_id = wanted.chain, wanted.config.diff_ids[number]

    def work(source: Source, ingest: Ingest) -> Stored | None:
        if unpack:
            return store_layer(source, descriptor, diff_id, parts.blobs, parts.trees, parts.limits, ingest)
        store_blob(source, descriptor, parts.blobs, ingest)
        return None

    if parts.downloads.locked():
        progress.status("Waiting")
    stored: Stored | None
    async with parts.downloads:
        if unpack and parts.blobs.has(descriptor.digest):
            stored = await _unpack_again(parts, descriptor, diff_id)
        else:
            stored = await _stream(parts, client, wanted.reference, descriptor, work, progress)
    if stored is None:
        return
    row = LayerRow(chain[number], diff_id, stored.directory, 0)
    row = await finished(parts, row, stored.unpacked, chain[:number])
    await parts.arrive(row)


async def _unpack_again(parts: Parts, descriptor: Descriptor, diff_id: str) -> Stored:
    """A directory from a blob that is there already."""
    worker = parts.submit(unpack_stored, descriptor, diff_id, parts.blobs, parts.trees, parts.limits)
    try:
        return await asyncio.shield(worker)
    except asyncio.CancelledError:
        await settle(worker, partial(_discard, parts))
        raise


async def _stream(
    parts: Parts,
    client: RegistryClient,
    reference: Reference,
    descriptor: Descriptor,
    work: Callable[[Source, Ingest], Stored | None],
    progress: LayerProgress,
) -> Stored | None:
    """Feed a blob to `work` in a thread while it comes from the registry, after what is left of an earlier download.
    When that turns out to be damaged, all of it is fetched, once.
    """
    ingest = parts.blobs.partial(descriptor.digest, descriptor.size)
    try:
        return await _feed(parts, client, reference, descriptor, work, ingest, progress)
    except DataLoss:
        if not ingest.kept:
            raise
    progress.again()
    ingest = parts.blobs.partial(descriptor.digest, descriptor.size)
    return await _feed(parts, client, reference, descriptor, work, ingest, progress)


async def _feed(
    parts: Parts,
    client: RegistryClient,
    reference: Reference,
    descriptor: Descriptor,
    work: Callable[[Source, Ingest], Stored | None],
    ingest: Ingest,
    progress: LayerProgress,
) -> Stored | None:
    """One try of `_stream`. `work` closes the ingest."""
    progress.advance(ingest.kept)

    async def counted() -> AsyncGenerator[bytes, None]:
        if ingest.kept < descriptor.size or not descriptor.size:
            async with aclosing(client.blob(reference, descriptor, ingest.kept)) as chunks:
                async for chunk in chunks:
                    progress.advance(len(chunk))
                    yield chunk
        progress.downloaded()

    async with aclosing(counted()) as source:
        return await through(source, lambda read: parts.submit(work, read, ingest), partial(_discard, parts))


def _discard(parts: Parts, late: Stored | None) -> None:
    if late is not None:
        parts.trees.remove(late.directory)


async def _publish(parts: Parts, wanted: _Wanted) -> Image:
    """Documents into the blob store, everything onto the disk, then the rows."""
    missing = [chain_id for chain_id in wanted.chain if chain_id not in parts.catalog.layers]
    if missing:
        raise Internal(f"layer {missing[0]} of {wanted.reference.familiar} was not unpacked")
    await parts.run(parts.blobs.put_all, wanted.documents)
    row = ImageRow(
        id=str(wanted.manifest.config.digest),
        manifest=str(wanted.manifest_digest),
        media_type=wanted.manifest.media_type,
        manifest_size=len(wanted.documents[wanted.manifest_digest]),
        listed=str(wanted.listed),
        listed_size=len(wanted.documents[wanted.listed]),
        stored_at=parts.clock(),
    )
    reference = wanted.reference
    names: Sequence[Reference] = (reference.with_tag(reference.tag),) if reference.tag and not reference.digest else ()
    digests = (reference.with_digest(wanted.top),)
    layers = [parts.catalog.layers[chain_id] for chain_id in wanted.chain]
    image = await parts.catalog.add(row, wanted.config, wanted.blobs, layers, names, digests, wanted.top)
    await parts.export()
    return image

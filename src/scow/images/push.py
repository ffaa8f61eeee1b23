"""Push: the blobs and the manifest of an image, as they are in the store, into a repository.

What came from a registry goes out with the same bytes, so both sides have the same digests. Layers go in parallel, the
manifest last: before it nobody sees anything of the image.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from scow.background import complete
from scow.errors import InvalidArgument, NotFound
from scow.images.content import Content
from scow.images.layer import first_error
from scow.images.parts import Parts
from scow.images.progress import UploadProgress
from scow.images.registry.client import connect_to
from scow.images.registry.upload import MissingBlob, Uploader
from scow.model.image import Image, best
from scow.model.transfer import Credentials, PullProgress, PushedTag, PushReport
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.manifest import Manifest
from scow.oci.platform import Platform
from scow.oci.reference import Reference

_MOUNTS = 3
"""From how many repositories a blob is tried to be mounted."""


class NothingToPush(NotFound):
    """No local image has the name."""


class WrongPlatform(NotFound):
    """The local image is not for the platform that shall be pushed."""


@dataclass(slots=True)
class _Push:
    """One repository's push. `there` are the digests that the repository is known to have."""

    parts: Parts
    uploader: Uploader
    reference: Reference
    report: PushReport
    there: set[str] = field(default_factory=set)


async def push(
    parts: Parts,
    reference: Reference,
    every_tag: bool,
    platform: str,
    credentials: Credentials | None,
    report: PushReport,
) -> None:
    """See ImageStore.push."""
    wanted = Platform.parse(platform) if platform else None
    report(PullProgress(f"The push refers to repository [{reference.name}]"))
    if reference.digest is not None:
        raise InvalidArgument("cannot push a digest reference")
    chosen = _chosen(parts, reference, every_tag, wanted)
    client = await connect_to(reference.domain, parts.settings, credentials)
    try:
        uploader = Uploader(client, client.endpoint.url, reference, parts.settings.policy, parts.sessions)
        work = _Push(parts, uploader, reference, report)
        for name, image in chosen:
            await _one(work, name, image)
    finally:
        await client.close()


def _chosen(
    parts: Parts, reference: Reference, every_tag: bool, platform: Platform | None
) -> list[tuple[Reference, Image]]:
    """Names and their images, in the order of the tags; of several platforms' the one that is wanted, or this host's."""
    catalog = parts.catalog
    in_repository = sorted(
        (name for name in map(Reference.parse, catalog.names) if name.name == reference.name),
        key=lambda name: name.tag or "",
    )
    if not in_repository:
        raise NothingToPush(f"An image does not exist locally with the tag: {reference.familiar_name}")
    wanted = in_repository if every_tag else [reference.with_default_tag()]
    found = []
    for name in wanted:
        images = catalog.named(name)
        if not images:
            raise NothingToPush(f"tag does not exist: {name.familiar}")
        found.append((name, images[0] if platform is None else _for_platform(name, images, platform)))
    return found


def _for_platform(name: Reference, images: Sequence[Image], wanted: Platform) -> Image:
    chosen = best(images, wanted)
    if chosen is None:
        raise WrongPlatform(
            f"image with reference {name.familiar} was found but does not match the "
            f"specified platform: wanted {wanted}, actual: {images[0].platform}"
        )
    return chosen


async def _one(work: _Push, name: Reference, image: Image) -> None:
    """One tag: blobs, then the manifest, then the digest becomes one of the image's names."""
    parts = work.parts
    digests = list(parts.catalog.blobs_of(image.id))
    try:
        with parts.catalog.hold(digests):
            row = parts.catalog.require(image.id)
            manifest, data = await parts.run(parts.manifest, row, listed=False)
            await _blobs(work, image, manifest)
            tag = name.tag or ""
            try:
                await work.uploader.manifest(data, row.media_type, tag)
            except MissingBlob:
                # What a registry says to have may be on its way out: bring everything, asking nothing.
                work.there.clear()
                await _blobs(work, image, manifest, blind=True)
                await work.uploader.manifest(data, row.media_type, tag)
            digest = Digest.of(data)
            await parts.catalog.add_digest(image.id, name.with_digest(digest))
    finally:
        await complete(parts.give_up((), digests), "give-up")
    work.report(PullProgress(f"{tag}: digest: {digest} size: {len(data)}"))
    work.report(PushedTag(tag, digest, len(data)))


async def _blobs(work: _Push, image: Image, manifest: Manifest, blind: bool = False) -> None:
    """Config and layers, each once, several at a time."""
    layers = {layer.digest: (layer, Digest.parse(id_).short) for layer, id_ in _top_first(manifest, image.diff_ids)}
    for _, short in layers.values():
        work.report(PullProgress("Preparing", short))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_blob(work, manifest.config, "", blind), name="push-config")
            for layer, short in layers.values():
                group.create_task(_blob(work, layer, short, blind), name=f"push-{short}")
    except BaseExceptionGroup as error:
        raise first_error(error) from None


def _top_first(manifest: Manifest, diff_ids: Sequence[str]) -> list[tuple[Descriptor, str]]:
    return list(zip(manifest.layers, diff_ids, strict=True))[::-1]


async def _blob(work: _Push, descriptor: Descriptor, short: str, blind: bool) -> None:
    """See that the repository has a blob: it has it, it takes it from another repository, or it gets it."""
    parts, uploader = work.parts, work.uploader
    progress = UploadProgress(short, descriptor.size, work.report)
    if short and "foreign" in descriptor.media_type:
        progress.status("Skipped foreign layer")
        return
    if parts.uploads.locked():
        progress.status("Waiting")
    async with parts.uploads:
        if not blind and (descriptor.digest in work.there or await uploader.exists(descriptor)):
            work.there.add(descriptor.digest)
            progress.status("Layer already exists")
            return
        session = None
        for source in _sources(work, descriptor.digest) if not blind else ():
            session = await uploader.mount(descriptor, source)
            if session is None:
                work.there.add(descriptor.digest)
                progress.status(f"Mounted from {source}")
                return
        content = Content(parts, descriptor)
        try:
            await uploader.blob(descriptor, content.read, progress.at, session)
        finally:
            content.close()
        work.there.add(descriptor.digest)
        progress.at(descriptor.size)
        progress.status("Pushed")


def _sources(work: _Push, digest: str) -> list[str]:
    """Other repositories of the same registry that are known to have had a blob."""
    catalog, target = work.parts.catalog, work.reference
    found: dict[str, None] = {}
    for image in catalog.images():
        if digest in catalog.blobs_of(image.id):
            for text in image.digests:
                other = Reference.parse(text)
                if other.domain == target.domain and other.path != target.path:
                    found[other.path] = None
    return list(found)[:_MOUNTS]

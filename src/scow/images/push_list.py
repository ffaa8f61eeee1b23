"""Push of a manifest list: the manifests that it names come into its repository from others of the same registry, then the
list itself, last: before it nobody sees anything of them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from scow.errors import InvalidArgument
from scow.images.parts import Parts
from scow.images.registry.client import RegistryClient, connect_to
from scow.images.registry.upload import Uploader
from scow.model.transfer import Credentials, ListPart
from scow.oci import manifest as manifests
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest
from scow.oci.manifest import Index, Manifest
from scow.oci.reference import Reference


async def push_list(
    parts: Parts,
    reference: Reference,
    data: bytes,
    media_type: str,
    sources: Sequence[ListPart],
    credentials: Credentials | None,
) -> tuple[str, list[str]]:
    """See ImageStore.push_list."""
    reference = reference.with_default_tag()
    digest = Digest.of(data)
    checked = _checked(reference, data, media_type, sources)
    client = await connect_to(reference.domain, parts.settings, credentials)
    try:
        uploader = Uploader(client, client.endpoint.url, reference, parts.settings.policy, parts.sessions)
        pushed = []
        for source, manifest in checked:
            for blob in {blob.digest: blob for blob in (manifest.config, *manifest.layers)}.values():
                await _bring(client, uploader, source.repository, blob)
            own = Digest.of(source.data)
            await uploader.manifest(source.data, source.media_type, own)
            pushed.append(str(own))
        await uploader.manifest(data, media_type, str(reference.digest or reference.tag))
        return str(digest), pushed
    finally:
        await client.close()


def _checked(
    reference: Reference, data: bytes, media_type: str, sources: Sequence[ListPart]
) -> list[tuple[ListPart, Manifest]]:
    """The manifests beside their sources. InvalidArgument, or InvalidDocument, for what does not belong together."""
    if reference.digest is not None and reference.digest != Digest.of(data):
        raise InvalidArgument(f"the manifest list is not {reference.digest}")
    index = manifests.parse(data, media_type)
    if not isinstance(index, Index):
        raise InvalidArgument("not a manifest list")
    named = {entry.digest: entry for entry in index.manifests}
    found = []
    for source in sources:
        if source.repository.domain != reference.domain:
            raise InvalidArgument(
                "cannot use source images from a different registry than the target image: "
                f"{source.repository.domain} != {reference.domain}"
            )
        entry = named.get(Digest.of(source.data))
        if entry is None or entry.size != len(source.data):
            raise InvalidArgument(f"the manifest list does not name the manifest {Digest.of(source.data)}")
        manifest = manifests.parse(source.data, source.media_type, entry.media_type)
        if not isinstance(manifest, Manifest):
            raise InvalidArgument(f"{Digest.of(source.data)} is a manifest list itself")
        found.append((source, manifest))
    return found


async def _bring(client: RegistryClient, uploader: Uploader, source: Reference, blob: Descriptor) -> None:
    """See that the repository has a blob of another one: it takes it over, or gets it through here."""
    if "foreign" in blob.media_type or await uploader.exists(blob):
        return
    session = await uploader.mount(blob, source.path)
    if session is None:
        return

    async def read(start: int, end: int) -> AsyncIterator[bytes]:
        left = end - start
        async with aclosing(client.blob(source, blob, start)) as chunks:
            async for chunk in chunks:
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    return

    await uploader.blob(blob, read, lambda _: None, session)

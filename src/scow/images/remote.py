"""Looking at what a registry has, without bringing it here."""

from scow.errors import DataLoss, NotFound
from scow.images.parts import Parts
from scow.images.registry import faults
from scow.images.registry.client import RegistryClient, connect_to, find_manifest, manifest_digest
from scow.model.transfer import Credentials, RemoteManifest
from scow.oci import image as image_documents
from scow.oci import manifest as manifests
from scow.oci.descriptor import Descriptor
from scow.oci.documents import MANIFEST_LIMIT, load
from scow.oci.manifest import Index
from scow.oci.platform import Platform
from scow.oci.reference import Reference

_MOST_ENTRIES = 64
_Names = tuple[str, str, str]


class NoSuchRemoteManifest(NotFound):
    """The registry does not have the manifest."""


async def look(
    parts: Parts, reference: Reference, credentials: Credentials | None, *, entries: bool = False
) -> RemoteManifest:
    """See ImageStore.look."""
    reference = reference.with_default_tag()
    try:
        client, data, content_type = await find_manifest(reference, parts.settings, credentials)
    except faults.NoSuchManifest:
        raise NoSuchRemoteManifest("manifest unknown: manifest unknown") from None
    try:
        document = manifests.parse(data, content_type)
        digest = str(manifest_digest(data, reference))
        if not isinstance(document, Index):
            own = _names(await _platform(client, reference, document.config))
            return RemoteManifest(document.media_type, digest, data, (own,))
        found = []
        told = _told(data)
        for number, descriptor in enumerate(document.manifests[:_MOST_ENTRIES] if entries else ()):
            found.append(await _entry(client, reference, descriptor, told[number]))
        platforms = tuple(names for names in told if names is not None)
        return RemoteManifest(document.media_type, digest, data, platforms, tuple(found))
    finally:
        await client.close()


async def tags(parts: Parts, reference: Reference, credentials: Credentials | None) -> list[str]:
    """Every tag of a repository in its registry."""
    client = await connect_to(reference.domain, parts.settings, credentials)
    try:
        return await client.tags(reference)
    finally:
        await client.close()


async def _entry(
    client: RegistryClient, reference: Reference, descriptor: Descriptor, names: _Names | None
) -> RemoteManifest:
    data, content_type = await client.manifest(reference.with_digest(descriptor.digest))
    if len(data) != descriptor.size:
        raise DataLoss(f"manifest verification failed for digest {descriptor.digest}")
    document = manifests.parse(data, content_type, descriptor.media_type)
    return RemoteManifest(document.media_type, str(descriptor.digest), data, () if names is None else (names,))


def _told(index: bytes) -> list[_Names | None]:
    """The platforms of an index as they are written: a normalised one says less (arm64 without its v8)."""
    found: list[_Names | None] = []
    for entry in load(index, "manifest", MANIFEST_LIMIT)["manifests"]:
        platform = entry.get("platform")
        if not isinstance(platform, dict):
            found.append(None)
            continue
        system, architecture, variant = (str(platform.get(key) or "") for key in ("os", "architecture", "variant"))
        found.append((system, architecture, variant))
    return found


async def _platform(client: RegistryClient, reference: Reference, config: Descriptor) -> Platform:
    parsed = image_documents.parse(await client.config(reference, config))
    return Platform.normalised(parsed.os, parsed.architecture, parsed.variant)


def _names(platform: Platform) -> _Names:
    return platform.os, platform.architecture, platform.variant

"""Manifests and indexes in a registry: looked at, and put there."""

from collections.abc import Sequence

from scow.engine.context import Engine
from scow.engine.ports import Credentials
from scow.model.transfer import ListPart, RemoteManifest
from scow.oci.reference import Reference


async def look(
    engine: Engine, reference: Reference, credentials: Credentials | None, *, entries: bool = False
) -> RemoteManifest:
    """What the registry has under a name, verified; with `entries` also the manifests of an index."""
    return await engine.images.look(reference, credentials, entries=entries)


async def push_list(
    engine: Engine,
    reference: Reference,
    data: bytes,
    media_type: str,
    sources: Sequence[ListPart],
    credentials: Credentials | None,
) -> tuple[str, list[str]]:
    """See ImageStore.push_list."""
    return await engine.images.push_list(reference, data, media_type, sources, credentials)

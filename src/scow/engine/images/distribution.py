"""Look at a manifest or an index in a registry."""

from scow.engine.context import Engine
from scow.engine.ports import Credentials
from scow.model.transfer import RemoteManifest
from scow.oci.reference import Reference


async def look(
    engine: Engine, reference: Reference, credentials: Credentials | None, *, entries: bool = False
) -> RemoteManifest:
    """What the registry has under a name, verified; with `entries` also the manifests of an index."""
    return await engine.images.look(reference, credentials, entries=entries)

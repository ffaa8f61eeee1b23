"""Routes of volumes."""

from scow.api.create import VolumeBody
from scow.api.volume import PruneVolumes, VolumeList
from scow.engine import volumes
from scow.errors import Unsupported
from scow.server.docker.call import Call
from scow.server.docker.convert.volume import show_volume


async def list_volumes(call: Call) -> None:
    """GET /volumes"""
    found = volumes.list_volumes(call.engine, call.filters())
    call.send(VolumeList([show_volume(volume) for volume in found], None))


async def create(call: Call) -> None:
    """POST /volumes/create"""
    body = await call.optional_json(VolumeBody) or VolumeBody()
    if body.ClusterVolumeSpec:
        raise Unsupported("cluster volumes are not supported by scow")
    volume = await volumes.create(
        call.engine, body.Name, body.Driver or "local", dict(body.DriverOpts or {}), dict(body.Labels or {})
    )
    call.send(show_volume(volume), 201)


async def inspect(call: Call) -> None:
    """GET /volumes/{name}"""
    call.send(show_volume(volumes.get(call.engine, call.name)))


async def update(call: Call) -> None:
    """PUT /volumes/{name}: cluster volumes only."""
    volumes.get(call.engine, call.name)
    raise Unsupported("cluster volumes are not supported by scow")


async def remove(call: Call) -> None:
    """DELETE /volumes/{name}"""
    await volumes.remove(call.engine, call.name, call.flag("force"))
    call.empty()


async def prune(call: Call) -> None:
    """POST /volumes/prune; before 1.42 it took named volumes, too."""
    filters = call.filters()
    if call.version < (1, 42):
        filters.setdefault("all", ["true"])
    deleted, freed = await volumes.prune(call.engine, filters)
    call.send(PruneVolumes(deleted, freed))

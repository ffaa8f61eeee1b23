"""Import: an archive of a root file system becomes an image."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from scow.background import spawn
from scow.build import changes
from scow.engine.containers import signals
from scow.engine.context import Engine
from scow.errors import Cancelled
from scow.images import importing
from scow.images.pipe import Pipe
from scow.model.container import ContainerConfig
from scow.model.event import Event
from scow.model.image import Image
from scow.model.making import NewImage
from scow.oci.platform import Platform
from scow.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """`source` is what the user called the archive; `changes` are Dockerfile instructions."""

    source: str
    name: Reference | None = None
    message: str = ""
    changes: tuple[str, ...] = ()
    platform: Platform | None = None


def prepare(engine: Engine, request: ImportRequest) -> NewImage:
    """Everything but the layer. InvalidArgument for a change that is none."""
    return NewImage(
        config=changes.apply(ContainerConfig(), request.changes, signals.number),
        created=engine.clock(),
        names=(request.name,) if request.name else (),
        comment=request.message or f"Imported from {request.source}",
        platform=request.platform,
    )


async def import_archive(engine: Engine, new: NewImage, archive: AsyncIterator[bytes]) -> Image:
    """The image with the archive (plain, or compressed by gzip, bzip2, xz or zstd) as its layer.

    Raises DataLoss for what is no archive, ResourceExhausted beyond the bounds. Nothing is left on an error.
    """
    pipe = Pipe(asyncio.get_running_loop())
    feeding = spawn(pipe.feed(archive), "import-archive", awaited=True)
    try:
        image = await engine.images.make(new, importing.writer_of(pipe.read))
    except Cancelled:
        await asyncio.wait([feeding])
        feeding.result()  # what went wrong with the archive's source is the better error
        raise
    finally:
        pipe.close()
        if not feeding.done():
            feeding.cancel()
    attributes = dict(image.config.labels)
    for name in new.names:
        engine.events.publish(Event("image", "tag", image.id, {**attributes, "name": name.familiar}, engine.clock()))
    engine.events.publish(Event("image", "import", image.id, {**attributes, "name": image.id}, engine.clock()))
    return image

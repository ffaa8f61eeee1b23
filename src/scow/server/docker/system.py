"""Routes of the engine itself."""

import os

from scow import __version__
from scow.api.system import DiskUsage
from scow.engine import system, volumes
from scow.engine.builds import cache
from scow.engine.containers import query as containers
from scow.engine.images import query as images
from scow.engine.networks import links
from scow.errors import InvalidArgument
from scow.server.docker.call import COMMON, Call, encode, pour
from scow.server.docker.convert.event import show_event
from scow.server.docker.convert.image import show_image_summary
from scow.server.docker.convert.listing import show_summary
from scow.server.docker.convert.system import show_cache_item, show_info, show_version
from scow.server.docker.convert.volume import show_volume

_PING = COMMON + (
    b"Builder-Version: 1\r\nCache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\nSwarm: inactive\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
)
_USAGE_TYPES = ("container", "image", "volume", "build-cache")


async def ping(call: Call) -> None:
    """GET and HEAD /_ping"""
    call.request.send(200, b"" if call.request.method == "HEAD" else b"OK", _PING)


async def version(call: Call) -> None:
    """GET /version"""
    machine = os.uname()
    call.send(show_version(__version__, machine.release, machine.machine))


async def info(call: Call) -> None:
    """GET /info"""
    call.send(show_info(await system.info(call.engine)))


async def events(call: Call) -> None:
    """GET /events"""
    since, until = call.moment("since"), call.moment("until")
    if until and since > until:
        raise InvalidArgument(
            f"`since` time ({since // 1_000_000_000}) cannot be after `until` time ({until // 1_000_000_000})"
        )
    filters = call.filters()
    call.request.cancel_when_left()
    call.request.endless = True
    found = call.engine.events.subscribe(since, until, filters)
    stream = call.stream()
    await pour(stream, found, lambda event: encode(show_event(event)) + b"\n")


async def disk_usage(call: Call) -> None:
    """GET /system/df"""
    wanted = _usage_types(call)
    usage = DiskUsage(0, None, None, None, None)
    if "image" in wanted:
        counts, shared = images.containers_of(call.engine), images.shared_sizes(call.engine)
        usage.Images = [
            show_image_summary(image, call.version, counts.get(image.id, 0), shared[image.id])
            for image in images.list_images(call.engine)
        ]
        usage.LayersSize = images.layers_size(call.engine)
    if "container" in wanted:
        networks, now = call.engine.networking.networks(), call.engine.clock()
        linked = links.names_of(call.engine.containers)
        usage.Containers = [
            show_summary(call.engine, item, networks, now, linked, await containers.sizes(call.engine, item))
            for item in containers.list_containers(call.engine, all=True)
        ]
    if "volume" in wanted:
        usage.Volumes = [
            show_volume(item, (len(volumes.users(call.engine, item.name)), await call.engine.volumes.usage(item.name)))
            for item in volumes.list_volumes(call.engine)
        ]
    if "build-cache" in wanted:
        usage.BuildCache = [show_cache_item(item) for item in await cache.items(call.engine)]
    call.send(usage)


def _usage_types(call: Call) -> tuple[str, ...]:
    given = tuple(call.texts("type"))
    for word in given:
        if word not in _USAGE_TYPES:
            raise InvalidArgument(f"unknown object type: {word}")
    return given or _USAGE_TYPES

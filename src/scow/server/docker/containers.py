"""Routes of containers, but for those with streams."""

from scow.api.container import Change, PruneContainers, Top
from scow.api.create import CreateBody, IdWarnings
from scow.engine.containers import create as creating
from scow.engine.containers import diff, kill, pause, query, remove, rename, resize, restart, start, stop, top
from scow.engine.networks import links
from scow.errors import InvalidArgument, NotFound, Unsupported
from scow.server.docker.call import Call
from scow.server.docker.convert.create import to_request
from scow.server.docker.convert.inspect import RUNNING, show_inspect
from scow.server.docker.convert.listing import show_summary


async def list_containers(call: Call) -> None:
    """GET /containers/json"""
    filters = call.filters()
    limit = call.integer_or("limit", 0) or 0
    for old in ("before", "since"):
        if call.text(old):
            filters.setdefault(old, []).append(call.text(old))
    found = query.list_containers(call.engine, call.flag("all"), limit, filters)
    networks, now = call.engine.networking.networks(), call.engine.clock()
    linked = links.names_of(call.engine.containers)
    if not call.flag("size"):
        call.send([show_summary(call.engine, container, networks, now, linked) for container in found])
        return
    lines = []
    for container in found:
        sizes = await query.sizes(call.engine, container)
        lines.append(show_summary(call.engine, container, networks, now, linked, sizes))
    call.send(lines)


async def create(call: Call) -> None:
    """POST /containers/create"""
    body = await call.json(CreateBody)
    if body.HostConfig is None and body.NetworkingConfig is None and body == CreateBody():
        raise InvalidArgument("config cannot be empty in order to create a container")
    request = to_request(body, call.text("name"), call.text("platform"))
    try:
        created = await creating.create(call.engine, request)
    except NotFound as error:
        # 404 makes the docker CLI pull the image and try again: it is for images only
        if error.message.startswith(("No such image", "image with reference")):
            raise
        raise InvalidArgument(error.message) from error
    call.send(IdWarnings(created.id, list(created.warnings)), 201)


async def inspect(call: Call) -> None:
    """GET /containers/{id}/json"""
    container = query.get(call.engine, call.name)
    sizes = await query.sizes(call.engine, container) if call.flag("size") else None
    execs = query.execs(call.engine, container.id) if container.status.state in RUNNING else []
    call.send(show_inspect(call.engine, container, execs, sizes))


async def start_container(call: Call) -> None:
    """POST /containers/{id}/start"""
    if call.request.head.length > 2 or (call.request.head.length < 0 and await call.request.next_chunk()):
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    if call.text("checkpoint") or call.text("checkpoint-dir"):
        raise Unsupported("starting from a checkpoint is not supported by scow")
    await start.start(call.engine, call.name, call.text("detachKeys"))
    call.empty()


async def stop_container(call: Call) -> None:
    """POST /containers/{id}/stop"""
    await stop.stop(call.engine, call.name, call.integer_or("t", None), call.text("signal"))
    call.empty()


async def restart_container(call: Call) -> None:
    """POST /containers/{id}/restart"""
    await restart.restart(call.engine, call.name, call.integer_or("t", None), call.text("signal"))
    call.empty()


async def kill_container(call: Call) -> None:
    """POST /containers/{id}/kill"""
    await kill.kill(call.engine, call.name, call.text("signal") or "KILL")
    call.empty()


async def pause_container(call: Call) -> None:
    """POST /containers/{id}/pause"""
    await pause.pause(call.engine, call.name)
    call.empty()


async def unpause_container(call: Call) -> None:
    """POST /containers/{id}/unpause"""
    await pause.unpause(call.engine, call.name)
    call.empty()


async def rename_container(call: Call) -> None:
    """POST /containers/{id}/rename"""
    await rename.rename(call.engine, call.name, call.text("name"))
    call.empty()


async def remove_container(call: Call) -> None:
    """DELETE /containers/{id}"""
    await remove.remove(
        call.engine, call.name, force=call.flag("force"), volumes=call.flag("v"), link=call.flag("link")
    )
    call.empty()


async def resize_container(call: Call) -> None:
    """POST /containers/{id}/resize"""
    height, width = call.integer("h"), call.integer("w")
    await resize.resize(call.engine, call.name, terminal_size(height), terminal_size(width))
    call.empty(200)


def terminal_size(characters: int) -> int:
    """What the kernel can hold; Docker cuts silently as well."""
    return characters & 0xFFFF


async def top_container(call: Call) -> None:
    """GET /containers/{id}/top"""
    result = await top.top(call.engine, call.name, call.text("ps_args"))
    call.send(Top(result.processes, result.titles))


async def changes(call: Call) -> None:
    """GET /containers/{id}/changes"""
    found = await diff.diff(call.engine, call.name)
    call.send([Change(change.kind, change.path) for change in found] or None)


async def prune(call: Call) -> None:
    """POST /containers/prune"""
    deleted, freed = await remove.prune(call.engine, call.filters())
    call.send(PruneContainers(deleted or None, freed))

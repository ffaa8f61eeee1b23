"""Route of a container's statistics."""

from scow.engine.containers import stats
from scow.errors import InvalidArgument
from scow.server.docker.call import Call, encode, pour
from scow.server.docker.convert.stats import show_stats


async def container_stats(call: Call) -> None:
    """GET /containers/{id}/stats"""
    if not call.flag("stream", True):
        call.send(show_stats(await stats.once(call.engine, call.name, compared=not call.flag("one-shot"))))
        return
    if call.flag("one-shot"):
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    call.request.endless = True
    found = stats.stream(call.engine, call.name)
    await pour(call.stream(), found, lambda reading: encode(show_stats(reading)) + b"\n")

"""Routes of execs."""

from scow.api.create import ExecBody, ExecStartBody, Id
from scow.engine.containers import execs
from scow.errors import InvalidArgument
from scow.server.docker.call import Call
from scow.server.docker.containers import terminal_size
from scow.server.docker.convert.create import to_exec
from scow.server.docker.convert.execution import show_exec
from scow.server.docker.hijack import upgrade


async def create(call: Call) -> None:
    """POST /containers/{id}/exec"""
    body = await call.json(ExecBody)
    call.send(Id(await execs.create(call.engine, call.name, to_exec(body))), 201)


async def start(call: Call) -> None:
    """POST /exec/{id}/start"""
    body = await call.optional_json(ExecStartBody) or ExecStartBody()
    size = _console_size(body)
    starting = await execs.start(call.engine, call.name, body.Detach, body.Tty, size)
    if body.Detach:
        call.empty(200)
        return
    connection, early = await upgrade(call, starting.tty)
    await starting.connect(connection, early)


def _console_size(body: ExecStartBody) -> tuple[int, int] | None:
    """Height and width; without a terminal they mean nothing."""
    if not body.ConsoleSize or not body.Tty:
        return None
    if len(body.ConsoleSize) != 2 or any(side > 0xFFFF for side in body.ConsoleSize):
        raise InvalidArgument(f"invalid ConsoleSize {body.ConsoleSize}: want height and width")
    return body.ConsoleSize[0], body.ConsoleSize[1]


async def inspect(call: Call) -> None:
    """GET /exec/{id}/json"""
    call.send(show_exec(execs.get(call.engine, call.name)))


async def resize(call: Call) -> None:
    """POST /exec/{id}/resize"""
    height, width = call.integer("h"), call.integer("w")
    await execs.resize(call.engine, call.name, terminal_size(height), terminal_size(width))
    call.empty(200)

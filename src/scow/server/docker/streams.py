"""Routes of containers with streams: attach, logs, wait."""

import inspect

from scow.api.container import Wait, WaitError
from scow.api.values import UNSET
from scow.engine.containers import attach as attaching
from scow.engine.containers import logs as logging
from scow.engine.containers import wait as waiting
from scow.errors import InvalidArgument
from scow.server.docker.call import COMMON, Call, encode, pour
from scow.server.docker.hijack import stream_type, upgrade
from scow.server.http.request import Disconnected


def attach_wish(call: Call, *, framed: bool = True) -> attaching.AttachRequest:
    """What the query of an attach asks for."""
    return attaching.AttachRequest(
        stdin=call.flag("stdin"),
        stdout=call.flag("stdout"),
        stderr=call.flag("stderr"),
        logs=call.flag("logs"),
        stream=call.flag("stream"),
        detach_keys=call.text("detachKeys"),
        framed=framed,
    )


async def attach(call: Call) -> None:
    """POST /containers/{id}/attach"""
    attached = await attaching.open_attach(call.engine, call.name, attach_wish(call))
    connection, early = await upgrade(call, attached.tty)
    await attached.connect(connection, early)


async def logs(call: Call) -> None:
    """GET /containers/{id}/logs"""
    stdout, stderr = call.flag("stdout"), call.flag("stderr")
    if not stdout and not stderr:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    wish = logging.LogQuery(
        stdout=stdout,
        stderr=stderr,
        follow=call.flag("follow"),
        since=call.moment("since"),
        until=call.moment("until"),
        timestamps=call.flag("timestamps"),
        tail=_tail(call.text("tail")),
        details=call.flag("details"),
        merged=call.flag("merged"),  # scow's own, see LogQuery
    )
    found = await logging.open_logs(call.engine, call.name, wish)
    call.request.endless = wish.follow
    stream = call.stream(COMMON + b"Content-Type: %b\r\n" % stream_type(call, found.tty))
    await pour(stream, found.chunks, bytes)


def _tail(text: str) -> int:
    """A number of lines; what is not one means all, as in Docker."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


async def wait(call: Call) -> None:
    """POST /containers/{id}/wait: the head at once, so that the client knows it is registered, the code when it is known."""
    call.request.cancel_when_left()
    call.request.endless = True
    pending = waiting.wait(call.engine, call.name, call.text("condition") or "not-running")
    try:
        stream = call.stream()
    except Disconnected:
        if inspect.iscoroutine(pending):
            pending.close()
        raise
    result = await pending
    error = WaitError(result.error) if result.error else UNSET
    await stream.write(encode(Wait(result.code, error)) + b"\n")
    await stream.end()

"""What a daemon can ask of a monitor: one function per operation, from message to result."""

import binascii
import os
import time
from collections.abc import Callable

from scow.errors import InvalidArgument, NotFound, Timeout
from scow.monitor import wire
from scow.monitor.control import Answer
from scow.monitor.monitor import Monitor, Wanted, exec_event, exit_event, streams
from scow.monitor.process import Process


def dispatch(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    """Carry out one message; every fd in `fds` is used or closed. Raises ScowError or OSError."""
    try:
        operation = _OPERATIONS.get(_text(message, "op"))
        if operation is None:
            raise InvalidArgument(f"unknown operation {message.get('op')!r}")
        return operation(monitor, message, fds, answer)
    finally:
        wire.close_all(fds)


def _hello(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    init = monitor.init
    if init is None:
        raise NotFound("not started")
    return {
        "id": monitor.bundle.id,
        "pid": init.pid,
        "started_at": init.started_at,
        "frozen": monitor.frozen,
        "oom_kills": monitor.memory.kills if monitor.memory is not None else 0,
        "execs": [
            {"exec": key, "pid": process.pid, "exit": None if process.code is None else exec_event(key, process)}
            for key, process in monitor.execs.items()
        ],
        "exit": None if monitor.exit is None else exit_event(monitor.exit),
    }


def _signal(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    number = _number(message, "number", 0, 64)
    _process(monitor, message).signal(number, group=_flag(message, "group"))
    return {}


def _freeze(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    _in_time(message, answer)
    monitor.freeze(_flag(message, "frozen"))
    return {}


def _resize(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    height, width = _number(message, "height", 0, 65535), _number(message, "width", 0, 65535)
    process = _process(monitor, message)
    try:
        process.stdio.resize(height, width)
    except OSError as error:
        raise InvalidArgument(f"cannot resize: {error.strerror}") from error
    return {}


def _attach(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    _in_time(message, answer)
    wanted = read_attachment(message.get("attachment"), fds)
    if wanted is None:
        raise InvalidArgument("an attachment is missing")
    monitor.attach(wanted)
    return {}


def _exec(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    _in_time(message, answer)
    exec_id, process = _text(message, "exec"), message.get("process")
    if not exec_id or monitor.knows(exec_id):
        raise InvalidArgument(f"exec {exec_id!r} exists already")
    if not isinstance(process, dict):
        raise InvalidArgument("the process of an exec is missing")
    terminal, stdin = _flag(message, "terminal"), _flag(message, "stdin")
    size = _size(process.get("consoleSize"))
    wanted = read_attachment(message.get("attachment"), fds)
    monitor.execute(exec_id, process, terminal=terminal, stdin=stdin, size=size, wanted=wanted, answer=answer)
    return None


def _abandon(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    monitor.abandon(_text(message, "exec"))
    return {}


def _in_time(message: wire.Message, answer: Answer) -> None:
    """Who asked waits until `until` (seconds of CLOCK_MONOTONIC), and is there. What is read later is not done: nobody
    counts on it.
    """
    until = message.get("until")
    if not answer.expected or (isinstance(until, float) and time.monotonic() > until):
        raise Timeout("it was asked too long ago")


def _forget(monitor: Monitor, message: wire.Message, fds: list[int], answer: Answer) -> wire.Message | None:
    monitor.forget()
    return {}


_OPERATIONS: dict[str, Callable[[Monitor, wire.Message, list[int], Answer], wire.Message | None]] = {
    "hello": _hello,
    "signal": _signal,
    "freeze": _freeze,
    "resize": _resize,
    "attach": _attach,
    "exec": _exec,
    "abandon": _abandon,
    "forget": _forget,
}


def read_attachment(fields: object, fds: list[int]) -> Wanted | None:
    """An attachment's description and its connection, the first of `fds` (which it takes). None when there is none."""
    if fields is None:
        return None
    if not isinstance(fields, dict) or not fds:
        raise InvalidArgument("an attachment without a connection")
    early, keys = (_bytes(fields.get(name, "")) for name in ("early", "keys"))
    wanted = Wanted(
        connection=fds[0],
        stdin=_flag(fields, "stdin"),
        streams=streams(_flag(fields, "stdout"), _flag(fields, "stderr")),
        framed=_flag(fields, "framed"),
        early=early,
        keys=keys,
    )
    if not _is_socket(fds[0]):
        raise InvalidArgument("an attachment's connection is not a socket")
    del fds[0]
    return wanted


def _is_socket(fd: int) -> bool:
    return os.fstat(fd).st_mode & 0o170000 == 0o140000


def _process(monitor: Monitor, message: wire.Message) -> Process:
    if "exec" not in message:
        if monitor.init is None or monitor.exit is not None:
            raise NotFound(f"container {monitor.bundle.id} has ended")
        return monitor.init
    process = monitor.execs.get(_text(message, "exec"))
    if process is None or process.code is not None:
        raise NotFound(f"exec {message['exec']!r} has ended")
    return process


def _text(message: wire.Message, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} is not a text")
    return value


def _flag(message: wire.Message, name: str) -> bool:
    value = message.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} is not true or false")
    return value


def _number(message: wire.Message, name: str, low: int, high: int) -> int:
    value = message.get(name)
    if type(value) is not int or not low <= value <= high:
        raise InvalidArgument(f"{name} is not a number between {low} and {high}")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, str) or not value.isascii():
        raise InvalidArgument("not base64")
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise InvalidArgument("not base64") from None


def _size(value: object) -> tuple[int, int]:
    if not isinstance(value, dict):
        return 0, 0
    return _number(value, "height", 0, 65535), _number(value, "width", 0, 65535)

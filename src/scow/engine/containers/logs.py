"""Logs: what a container wrote, from its log files."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from scow.engine.containers import files
from scow.engine.context import Engine
from scow.errors import Conflict, InvalidArgument
from scow.logs.reader import LogQuery, read_log

__all__ = ["LogQuery", "LogStream", "open_logs"]


@dataclass(frozen=True, slots=True)
class LogStream:
    """`chunks` are ready for the wire: framed with 8-byte headers unless `tty`."""

    tty: bool
    chunks: AsyncIterator[bytes]


async def open_logs(engine: Engine, name: str, query: LogQuery, *, framed: bool = True) -> LogStream:
    """Follows only while the container runs. Without `framed` there are no headers, as with a terminal."""
    entry = engine.containers.find(name)
    container = entry.container
    if not query.stdout and not query.stderr:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    if container.host.log.driver != "json-file":
        raise Conflict("configured logging driver does not support reading")
    path = files.log_path(engine, container.id)
    tty = container.config.tty
    return LogStream(tty, read_log(path, query, framed=framed and not tty, ended=lambda: entry.task is None))

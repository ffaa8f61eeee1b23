"""Attach: a client's connection is handed to the monitor; what was logged before can be shown first."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass

from scow.engine.containers import happenings, logs
from scow.engine.context import Engine
from scow.engine.ports import Attachment
from scow.engine.registry import Entry
from scow.errors import Conflict, InvalidArgument, ScowError

_DEFAULT_DETACH_KEYS = b"\x10\x11"  # ctrl-p ctrl-q
_NAMED = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """Which streams; `logs` shows what was written before; without `stream` nothing else follows. `framed`: output
    carries Docker's headers when there is no terminal.
    """

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    logs: bool = False
    stream: bool = True
    detach_keys: str = ""
    framed: bool = True


class Attaching:
    """A checked attach that waits for its connection."""

    def __init__(self, engine: Engine, entry: Entry, request: AttachRequest, keys: bytes) -> None:
        self._engine, self._entry, self._request, self._keys = engine, entry, request, keys

    @property
    def tty(self) -> bool:
        return self._entry.container.config.tty

    async def connect(self, connection: socket.socket, early: bytes = b"") -> None:
        """Take over the connection for good. Before the container runs it waits for the start."""
        request, entry = self._request, self._entry
        if request.logs:
            await self._replay(connection)
        if not request.stream:
            connection.close()
            return
        attachment = Attachment(
            connection=connection,
            stdin=request.stdin and entry.container.config.open_stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            framed=request.framed and not self.tty,
            early=early,
            detach_keys=self._keys,
        )
        happenings.publish(self._engine, entry.container, "attach")
        if entry.task is None:
            entry.pending.append(attachment)
            return
        try:
            await entry.task.attach(attachment)
        except ScowError:
            hang_up(connection)
            raise
        finally:
            connection.close()

    async def _replay(self, connection: socket.socket) -> None:
        query = logs.LogQuery(stdout=self._request.stdout, stderr=self._request.stderr)
        stream = await logs.open_logs(self._engine, self._entry.container.id, query, framed=self._request.framed)
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        async for chunk in stream.chunks:
            await loop.sock_sendall(connection, chunk)


async def open_attach(engine: Engine, name: str, request: AttachRequest) -> Attaching:
    """Errors come from here, before the connection is upgraded."""
    entry = engine.containers.find(name)
    if entry.container.status.state == "paused":
        raise Conflict(f"container {name} is paused, unpause the container before attach")
    if entry.removing:
        raise Conflict(f"container {name} is marked for removal and cannot be attached to")
    attaching = Attaching(engine, entry, request, detach_sequence(request.detach_keys))
    if entry.task is not None and request.stream:
        await entry.task.answers()  # or it is said while it can be
    return attaching


def hang_up(connection: socket.socket) -> None:
    """End a client's connection, also where a copy of it is on its way to a monitor that does not read."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def detach_sequence(text: str) -> bytes:
    """`ctrl-p,ctrl-q`, `ctrl-@`, or plain characters, as bytes; "" is the default."""
    if not text:
        return _DEFAULT_DETACH_KEYS
    keys = bytearray()
    for word in text.split(","):
        if len(word) == 1 and word.isascii():
            keys.append(ord(word))
            continue
        letter = word.removeprefix("ctrl-")
        if not word.startswith("ctrl-") or len(letter) != 1:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided")
        if letter in _NAMED:
            keys.append(_NAMED[letter])
        elif letter.isascii() and letter.islower():
            keys.append(ord(letter) - 96)
        else:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided")
    return bytes(keys)

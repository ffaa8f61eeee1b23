"""An asyncio end of a control connection: requests with replies, and events from the other side."""

import asyncio
import itertools
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from scow.errors import InvalidArgument, ScowError, Unavailable, from_code
from scow.monitor import wire

Reply = dict[str, Any]


class Lost(Unavailable):
    """The other side has gone before it answered."""


def encode(value: object) -> bytes:
    """JSON, fast; a text that is not valid Unicode (a lone surrogate) is escaped."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


class Connection:
    """Lifecycle: made on a running loop, any number of requests at once, `close`.

    `on_event` gets every message that is no reply; `on_lost` is called once when the other side has gone (not after
    `close`). Both are called from the loop and must not raise.
    """

    def __init__(
        self,
        peer: socket.socket,
        *,
        on_event: Callable[[Reply], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._on_event = on_event
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._writable: asyncio.Future[None] | None = None
        self.closed = False
        peer.setblocking(False)
        self._loop.add_reader(peer.fileno(), self._readable)

    def handle(self, on_event: Callable[[Reply], None], on_lost: Callable[[], None]) -> None:
        """Set the callbacks later than at the start."""
        self._on_event, self._on_lost = on_event, on_lost

    async def request(self, message: Reply, packets: Sequence[Sequence[int]] = ()) -> Reply:
        """Send a message and await its result. `packets`: fds; the first group goes with the message, each other
        group in a packet of its own. Raises the ScowError that the other side answers, or Lost.
        """
        number = next(self._numbers)
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[number] = future
        try:
            first, *more = packets or ((),)
            await self._send(encode({**message, "id": number}), first)
            for fds in more:
                await self._send(b'{"more":true}', fds)
            reply = await future
        finally:
            self._waiting.pop(number, None)
        return reply

    def post(self, message: Reply) -> None:
        """Send a message without waiting for anything; it is dropped if the other side does not read."""
        if not self.closed:
            try:
                wire.send_encoded(self._peer, encode(message))
            except OSError:
                pass

    async def _send(self, payload: bytes, fds: Sequence[int]) -> None:
        while True:
            if self.closed:
                raise Lost("the monitor has gone")
            try:
                wire.send_encoded(self._peer, payload, fds)
                return
            except BlockingIOError:
                await self._until_writable()
            except ConnectionError as error:
                raise Lost("the monitor has gone") from error
            except OSError as error:
                raise Unavailable(f"cannot send to a monitor: {error.strerror}") from error

    async def _until_writable(self) -> None:
        if self._writable is None:
            self._writable = self._loop.create_future()
            self._loop.add_writer(self._peer.fileno(), self._wake)
        await asyncio.shield(self._writable)

    def _wake(self) -> None:
        if self._writable is not None:
            if not self.closed:
                self._loop.remove_writer(self._peer.fileno())
            future, self._writable = self._writable, None
            if not future.done():
                future.set_result(None)

    def _readable(self) -> None:
        for _ in range(64):
            if self.closed:
                return
            try:
                message, fds = wire.receive(self._peer)
            except BlockingIOError:
                return
            except InvalidArgument:
                continue
            except (wire.Closed, OSError):
                self._end(lost=True)
                return
            wire.close_all(fds)
            self._take(message)

    def _take(self, message: Reply) -> None:
        number = message.get("id")
        if type(number) is not int:
            if self._on_event is not None:
                self._on_event(message)
            return
        future = self._waiting.get(number)
        if future is None or future.done():
            return
        error = message.get("error")
        result = message.get("result")
        if isinstance(error, dict):
            future.set_exception(from_code(str(error.get("code")), str(error.get("message"))))
        elif isinstance(result, dict):
            future.set_result(result)
        else:
            future.set_exception(Unavailable("a monitor answered nonsense"))

    def close(self) -> None:
        """End the connection; what waits for a reply gets Lost."""
        self._end(lost=False)

    def _end(self, *, lost: bool) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._peer.fileno())
        if self._writable is not None:
            self._loop.remove_writer(self._peer.fileno())
            self._wake()
        self._peer.close()
        error: ScowError = Lost("the monitor has gone")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        if lost and self._on_lost is not None:
            self._on_lost()

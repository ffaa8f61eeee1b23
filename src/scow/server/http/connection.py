"""One client connection: an asyncio protocol that runs requests one after the other through a handler."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

from scow.background import spawn
from scow.server.http.body import reader
from scow.server.http.head import MAX_HEAD, BadMessage, parse_head
from scow.server.http.relay import relay
from scow.server.http.request import Disconnected, Request

Handler = Callable[[Request], Awaitable[None]]

_log = logging.getLogger("scow.server")
HEAD_TIMEOUT = 20.0  # from the first byte of a head to its last
BODY_TIMEOUT = 60.0  # without a byte of a body that a handler waits for
IDLE_TIMEOUT = 900.0  # between requests
LINGER_TIMEOUT = 5.0
_MAX_PIPELINED = 64 << 10


class Connection(asyncio.Protocol):
    """Lifecycle: connection_made; then head, handler's task, response, again; connection_lost or given away."""

    def __init__(self, handler: Handler, family: "set[Connection]") -> None:
        self._handler = handler
        self._family = family
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._buffer = b""
        self._request: Request | None = None
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keep = True
        self._eof = False
        self._lost = False
        self._given = False
        self._lingering = False
        self._reading = True
        self._in_head = False
        self._tls = False
        self._drained: asyncio.Future[None] | None = None

    # ------------------------------------------------------------ asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("ssl_object") is not None
        self._family.add(self)
        self._arm(IDLE_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        request = self._request
        try:
            if request is None:
                self._buffer = self._buffer + data if self._buffer else data
                self._next_request()
            elif not request.body_done:
                if not request.feed(data):
                    self._pause()
                self._buffer += request.take_rest()
            else:
                self._buffer += data
                if len(self._buffer) > _MAX_PIPELINED:
                    self._pause()
        except BadMessage as error:
            self._bad(error)

    def eof_received(self) -> bool:
        self._eof = True
        if self._request is None or self._lingering:
            return False
        self._left()
        return not self._tls  # the answer can still be read by a client that only shut down its writing side

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._family.discard(self)
        self._disarm()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(Disconnected())
            self._drained.exception()
        if not self._given:
            self._left()

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # ------------------------------------------------------------ requests

    def _next_request(self) -> None:
        buffer = self._buffer
        if buffer[:2] == b"\r\n":  # RFC 9112, 2.2: an empty line before a request is ignored
            buffer = self._buffer = buffer[2:]
        end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(buffer) >= MAX_HEAD:
                raise BadMessage(431, "the request head is too large")
            if not self._in_head:  # once per head: a client that drips bytes gains no time
                self._in_head = True
                self._arm(HEAD_TIMEOUT)
            return
        self._in_head = False
        self._disarm()
        head = parse_head(buffer[:end])
        self._keep = head.keep_alive
        body = reader(head.length)
        request = Request(self, head, body)
        self._buffer = b""
        self._request = request
        if body.done:
            self._buffer = buffer[end + 4 :]
        elif len(buffer) > end + 4:
            if not request.feed(buffer[end + 4 :]):
                self._pause()
            self._buffer = request.take_rest()
        self._task = spawn(self._run(request), "http request")

    async def _run(self, request: Request) -> None:
        try:
            await self._handler(request)
            if not request.answered:
                raise RuntimeError("a handler did not answer")
        except Disconnected:
            self.abort()
        except BadMessage as error:
            self._bad(error)
        except asyncio.CancelledError:
            self.abort()
            if not self.left:
                raise
        except Exception:  # noqa: BLE001  a handler's defect must not end the connection silently
            _log.exception("%s %s failed", request.method, request.path)
            if request.answered:
                self.abort()
            else:
                self._bad(BadMessage(500, "internal error"))
        else:
            self._finished(request)

    def _finished(self, request: Request) -> None:
        self._request = self._task = None
        if self._given or self._lost:
            return
        if not request.body_done:
            self._linger()
        elif not self._keep or self._eof:
            self._transport.close()
        else:
            self._resume()
            if self._buffer:
                try:
                    self._next_request()
                except BadMessage as error:
                    self._bad(error)
            else:
                self._arm(IDLE_TIMEOUT)

    def _bad(self, error: BadMessage) -> None:
        """Answer what is not HTTP, or what a handler cannot read, and close."""
        request, self._request, self._task = self._request, None, None
        if request is not None:
            request.fail_body(Disconnected())
        if self._lost or self._given:
            return
        if request is not None and request.answered:
            self.abort()
            return
        text = error.reason.replace("\\", "\\\\").replace('"', '\\"')
        body = f'{{"message":"{text}"}}\n'.encode()
        head = f"HTTP/1.1 {error.status} Error\r\nContent-Type: application/json\r\n"
        self._transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self._linger()

    def _linger(self) -> None:
        """Close, but not under a client that still writes: it would lose the answer to a reset."""
        self._lingering = True
        self._keep = False
        if self._eof or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._resume()
        self._arm(LINGER_TIMEOUT)

    def _left(self) -> None:
        request, task = self._request, self._task
        if request is None:
            return
        if not request.body_done:
            request.fail_body(Disconnected())
        if request.cancel and task is not None:
            task.cancel()

    # ------------------------------------------------------------ for Request and Stream

    @property
    def left(self) -> bool:
        """The client has closed, or shut down its writing side."""
        return self._eof or self._lost

    def will_keep(self, request: Request) -> bool:
        return self._keep and not self._eof and request.body_done

    def no_keep(self) -> None:
        self._keep = False

    def write(self, data: bytes) -> None:
        if not self._lost:
            self._transport.write(data)

    async def drain(self) -> None:
        if self._lost:
            raise Disconnected
        if self._drained is not None:
            await self._drained

    def abort(self) -> None:
        self._request = self._task = None
        if not self._lost and not self._given:
            self._transport.abort()

    async def more_body(self, request: Request, end: float | None) -> None:
        """Wait until more of the body has arrived, at most until `end`."""
        if self.left:
            raise Disconnected
        if request.continue_wanted():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.resume_body()
        try:
            left = BODY_TIMEOUT if end is None else min(BODY_TIMEOUT, end - self._loop.time())
            await asyncio.wait_for(request.wait_future(), left)
        except TimeoutError:
            raise BadMessage(408, "the request body did not arrive in time") from None

    def resume_body(self) -> None:
        if len(self._buffer) <= _MAX_PIPELINED:
            self._resume()

    async def give_away(self, request: Request, head: bytes) -> tuple[socket.socket, bytes]:
        if self._lost:
            raise Disconnected
        transport = self._transport
        if not self._tls:
            transport.set_write_buffer_limits(high=0)  # so that `drain` waits for the last byte
        transport.write(head)
        if transport.get_write_buffer_size() and not self._tls:
            await self.drain()
        self._pause()
        early, self._buffer = self._buffer, b""
        self._disarm()
        self._given = True
        self._family.discard(self)
        if self._tls:
            return relay(transport, early), b""
        raw: socket.socket = transport.get_extra_info("socket")
        mine = socket.socket(fileno=os.dup(raw.fileno()))
        transport.abort()  # closes our descriptor without shutdown(): the connection lives on in `mine`
        return mine, early

    # ------------------------------------------------------------ small

    def peer_uid(self) -> int | None:
        if self._lost:
            raise Disconnected
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is None or sock.family != socket.AF_UNIX:
            return None
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8], sys.byteorder)

    def close_idle(self) -> bool:
        """At shutdown: close if nothing is going on, or nothing but an answer that would go on for ever."""
        if self._request is not None:
            self._keep = False
            if self._request.endless and self._task is not None:
                self._task.cancel()
            return False
        self._transport.close()
        return True

    def _pause(self) -> None:
        if self._reading and not self._lost:
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and not self._lost:
            self._reading = True
            self._transport.resume_reading()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _late(self) -> None:
        self._timer = None
        if self._lingering or not self._buffer:
            self._transport.abort()
        else:
            self._bad(BadMessage(408, "the request head did not arrive in time"))

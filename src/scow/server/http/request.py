"""One request and the ways to answer it: a whole response, a stream, or taking the connection."""

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING

from scow.server.http.body import BodyReader
from scow.server.http.clock import date_line
from scow.server.http.head import BadMessage, Head

if TYPE_CHECKING:
    from scow.server.http.connection import Connection

REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 301: "Moved Permanently", 304: "Not Modified", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    409: "Conflict", 413: "Request Entity Too Large", 415: "Unsupported Media Type", 417: "Expectation Failed",
    426: "Upgrade Required", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip
_BODY_HIGH = 256 << 10
READ_TIMEOUT = 120.0  # for a whole body that is read into memory


class Disconnected(Exception):
    """The client went away before the exchange was complete."""


class Request:
    """Lives from the head to the end of the response. Exactly one of `send`, `stream`, `hijack` answers it.

    `path` and `query` are as sent (still percent-encoded). By default the work for a request goes on when its client
    leaves (a stop that has begun is not stopped half-way); `cancel_when_left` is for answers only the client wants. `endless` is
    set for an answer that goes on until something happens: a server that stops does not wait for it.
    """

    __slots__ = (
        "_chunks", "_connection", "_expects", "_queued", "_reader", "_waiter", "answered", "cancel", "endless", "head",
        "headers",
        "method", "path", "query",
    )  # fmt: skip

    def __init__(self, connection: "Connection", head: Head, reader: BodyReader) -> None:
        self.head = head
        self.method = head.method
        self.headers = head.headers
        self.path, _, self.query = head.target.partition("?")
        self.answered = False
        self.cancel = False
        self.endless = False
        self._connection = connection
        self._reader = reader
        self._chunks: deque[bytes] = deque()
        self._queued = 0
        self._waiter: asyncio.Future[None] | None = None
        self._expects = "expect" in head.headers

    # ------------------------------------------------------------ body

    @property
    def has_body(self) -> bool:
        """Whether the head announces a body (a chunked one may turn out empty)."""
        return self.head.length != 0

    @property
    def body_done(self) -> bool:
        return self._reader.done

    async def read(self, limit: int) -> bytes:
        """The whole body; BadMessage 413 beyond `limit`."""
        if self.head.length > limit:
            raise BadMessage(413, f"the request body is larger than {limit} bytes")
        parts: list[bytes] = []
        size = 0
        end = asyncio.get_running_loop().time() + READ_TIMEOUT
        while chunk := await self.next_chunk(end):
            size += len(chunk)
            if size > limit:
                raise BadMessage(413, f"the request body is larger than {limit} bytes")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def next_chunk(self, end: float | None = None) -> bytes:
        """The next piece of the body, b"" at its end; BadMessage 408 when it is late (`end`: the loop's time)."""
        while not self._chunks:
            if self._reader.done:
                return b""
            await self._connection.more_body(self, end)
        chunk = self._chunks.popleft()
        self._queued -= len(chunk)
        if self._queued < _BODY_HIGH:
            self._connection.resume_body()
        return chunk

    @property
    def peer_uid(self) -> int | None:
        """The user at the other end of a unix socket; None for any other connection. Disconnected when it has ended."""
        return self._connection.peer_uid()

    def continue_wanted(self) -> bool:
        """Whether the client waits for `100 Continue` (asked once)."""
        wanted, self._expects = self._expects, False
        return wanted and self.headers.get("expect", "").lower() == "100-continue" and not self.answered

    def feed(self, data: bytes) -> bool:
        """Body bytes from the connection; False when enough is queued for now."""
        chunk = self._reader.feed(data)
        if chunk:
            self._chunks.append(chunk)
            self._queued += len(chunk)
        self._wake(None)
        return self._queued < _BODY_HIGH

    def take_rest(self) -> bytes:
        """What arrived behind the body."""
        rest, self._reader.rest = self._reader.rest, b""
        return rest

    def wait_future(self) -> asyncio.Future[None]:
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def _wake(self, error: BaseException | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def fail_body(self, error: BaseException) -> None:
        """No more body will come."""
        self._wake(error)

    # ------------------------------------------------------------ answers

    def cancel_when_left(self) -> None:
        """From now on, cancel the handler's task as soon as the client is gone."""
        self.cancel = True
        if self._connection.left:
            raise Disconnected

    def send(self, status: int, body: bytes = b"", headers: bytes = b"") -> None:
        """A whole response. `headers` are ready lines, each with its CRLF."""
        self.answered = True
        keep = self._connection.will_keep(self)
        lines = [f"HTTP/1.1 {status} {REASONS[status]}\r\n".encode(), headers, date_line()]
        if status not in (204, 304):
            lines.append(b"Content-Length: %d\r\n" % len(body))
        if not keep:
            lines.append(b"Connection: close\r\n")
        elif self.head.minor == 0:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        if self.method != "HEAD" and status not in (204, 304):
            lines.append(body)
        self._connection.write(b"".join(lines))

    def stream(self, status: int, headers: bytes = b"") -> "Stream":
        """Send the head at once; the body follows by `Stream.write`. The task is cancelled when the client leaves."""
        self.cancel_when_left()
        self.answered = True
        chunked = self.head.minor == 1
        keep = chunked and self._connection.will_keep(self)
        if not chunked:
            self._connection.no_keep()
        self._connection.write(
            b"".join(
                (
                    f"HTTP/1.1 {status} {REASONS[status]}\r\n".encode(), headers, date_line(),
                    b"Transfer-Encoding: chunked\r\n" if chunked else b"", b"" if keep else b"Connection: close\r\n", b"\r\n",
                )
            )
        )  # fmt: skip
        return Stream(self._connection, chunked)

    async def hijack(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Send `head` (a whole response head), then give the connection away: (a socket of the caller's own, the bytes
        the client has already sent behind its request). This server neither reads, writes nor shuts it down any more.
        """
        self.answered = True
        return await self._connection.give_away(self, head)


class Stream:
    """A response body that is written piece by piece."""

    __slots__ = ("_chunked", "_connection")

    def __init__(self, connection: "Connection", chunked: bool) -> None:
        self._connection = connection
        self._chunked = chunked

    async def write(self, data: bytes) -> None:
        """Returns when the client keeps up; Disconnected when it has left."""
        if not data:
            return
        if self._chunked:
            self._connection.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._connection.write(data)
        await self._connection.drain()

    async def end(self) -> None:
        """The body is complete."""
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")
        await self._connection.drain()

    def abort(self) -> None:
        """The body cannot be completed: the client must see that."""
        self._connection.abort()

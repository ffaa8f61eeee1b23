"""The Engine API client: one request at a time on each connection, idle connections kept, requests sent early.

`Client.send` puts a request on the wire and returns; `Exchange.answer` waits for the response's head. Between the two
the caller can prepare its next step, which hides the client's own cost behind the server's.
"""

from __future__ import annotations

import _socket

from scow.client import jsontext
from scow.client.http1 import MAX_HEAD, Chunked, Head, encode_request, parse_head, query
from scow.errors import DataLoss, ScowError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from scow.client.endpoint import Endpoint

API_VERSION = "1.45"
_BLOCK = 64 * 1024
_NOSIGNAL = _socket.MSG_NOSIGNAL


class ApiError(ScowError):
    """The daemon's answer with a status of 400 or more: `status`, and `message` as the daemon worded it."""

    code = "api"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def __str__(self) -> str:
        return "Error response from daemon: " + self.message


class Connection:
    """One socket and the bytes read from it that nobody has asked for yet."""

    __slots__ = ("early", "sock", "used")

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.early = b""
        self.used = False

    def send(self, data: bytes) -> None:
        """Writes everything. Raises OSError."""
        self.sock.sendall(data, _NOSIGNAL) if type(self.sock) is _socket.socket else self.sock.sendall(data)

    def receive(self, size: int = _BLOCK) -> bytes:
        """Some bytes, nothing at the end of the stream. Raises OSError."""
        if self.early:
            data, self.early = self.early[:size], self.early[size:]
            return data
        return self.sock.recv(size)  # type: ignore[no-any-return]

    def close(self) -> None:
        self.sock.close()


class Request:
    """What is needed to send a request, and to send it again."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body


class Response:
    """A response whose body is still to be read: all at once, in pieces, or as a stream of JSON values."""

    def __init__(self, client: Client, connection: Connection, head: Head, length: int) -> None:
        self.head = head
        self.status = head.status
        self._client = client
        self._connection: Connection | None = connection
        self._left = length
        self._chunked = Chunked() if length == -1 else None
        if length == 0:
            self._finish()

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._left != -2 and self.head.keeps_alive():
            self._client.keep(connection)
        else:
            connection.close()

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. Raises DataLoss when the connection breaks before the body's end."""
        while self._connection is not None:
            try:
                data = self._connection.receive(min(self._left, _BLOCK) if self._left > 0 else _BLOCK)
            except ConnectionError as error:
                raise DataLoss(f"the connection broke in the middle of an answer: {error}") from error
            if self._chunked is not None:
                data = self._take_chunks(data)
            elif self._left > 0:
                if not data:
                    raise DataLoss("unexpected EOF")
                self._left -= len(data)
                if not self._left:
                    self._finish()
            elif not data:
                self._finish()
            if data:
                yield data

    def _take_chunks(self, data: bytes) -> bytes:
        assert self._chunked is not None and self._connection is not None
        if not data:
            self.close()
            raise DataLoss("unexpected EOF")
        body = self._chunked.feed(data)
        if self._chunked.done:
            self._connection.early = self._chunked.rest()
            self._finish()
        return body

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def json(self) -> Any:
        """The body as one JSON value, None when it is empty."""
        data = self.read()
        try:
            return jsontext.decode(data) if data.strip() else None
        except ValueError as error:
            raise DataLoss(f"bad JSON in the answer: {error}") from error

    def lines(self) -> Iterator[bytes]:
        """The lines of a stream that are not empty."""
        rest = b""
        for piece in self.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line for line in lines if line.strip())
        if rest.strip():
            yield rest

    def values(self) -> Iterator[Any]:
        """The JSON values of a stream that has one a line."""
        for line in self.lines():
            try:
                yield jsontext.decode(line)
            except ValueError as error:
                raise DataLoss(f"bad JSON in the stream: {error}") from error

    def hijack(self) -> Connection:
        """Takes the connection over as a raw stream."""
        connection, self._connection = self._connection, None
        if connection is None:
            raise DataLoss("the answer has no stream")
        return connection

    def close(self) -> None:
        """Gives the response up; its connection is not used again unless the body was read to its end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Exchange:
    """A request on the wire."""

    __slots__ = ("_client", "_connection", "_request")

    def __init__(self, client: Client, connection: Connection, request: Request) -> None:
        self._client = client
        self._connection = connection
        self._request = request

    def answer(self) -> Response:
        """Waits for the head. Raises ApiError for a status of 400 or more, Unavailable when the connection breaks.

        A daemon that knows only older API versions is asked again with its newest one.
        """
        head = self._head()
        upgrade = any(name == "Upgrade" for name, _ in self._request.headers)
        length = head.body_length(self._request.method)
        if head.status == 101 or (upgrade and head.status == 200):
            length = -2
        response = Response(self._client, self._connection, head, length)
        if head.status < 400:
            return response
        message = _message(head, response.read())
        if head.status == 400 and self._client.lower_version(message):
            return self._client.submit(self._request).answer()
        raise ApiError(head.status, message)

    def _head(self) -> Head:
        connection = self._connection
        data = b""
        while b"\r\n\r\n" not in data:
            try:
                more = connection.receive()
            except ConnectionError:
                more = b""
            if not more:
                if not data and connection.used:  # the daemon closed an idle connection: nothing has happened yet
                    connection.close()
                    self._connection = connection = self._client.open()
                    connection.send(self._client.render(self._request))
                    continue
                raise Unavailable("error during connect: the daemon closed the connection: EOF")
            data += more
            if len(data) > MAX_HEAD and b"\r\n\r\n" not in data:
                raise DataLoss("the answer's head is too long")
        connection.used = True
        text, _, connection.early = data.partition(b"\r\n\r\n")
        head = parse_head(text)
        if 100 <= head.status < 200 and head.status != 101:
            return self._head()
        return head


def _message(head: Head, body: bytes) -> str:
    try:
        value = jsontext.decode(body)
        if isinstance(value, dict) and isinstance(value.get("message"), str):
            return str(value["message"]).strip()
    except ValueError:
        pass
    text = body.decode("utf-8", "replace").strip()
    return text or f"request returned {head.reason or head.status}"


class Client:
    """Speaks to one daemon."""

    def __init__(self, endpoint: Endpoint, version: str = "", headers: Sequence[tuple[str, str]] = ()) -> None:
        """`version` pins the API version; without it scow's own is used until the daemon names a lower one."""
        self.endpoint = endpoint
        self.version = version or API_VERSION
        self._pinned = bool(version)
        self._idle: list[Connection] = []
        host = "scow" if not endpoint.port else f"{endpoint.address}:{endpoint.port}"
        self._headers = (("Host", host), ("User-Agent", "scow-cli"), *headers)

    # -- connections

    def open(self) -> Connection:
        """A new connection."""
        return Connection(self.endpoint.connect())

    def warm(self, count: int) -> None:
        """Makes sure that `count` idle connections are open: their set-up overlaps the wait for an earlier answer."""
        while len(self._idle) < count:
            self._idle.append(self.open())

    def keep(self, connection: Connection) -> None:
        """Takes an idle connection back."""
        self._idle.append(connection)

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()

    # -- requests

    def render(self, request: Request) -> bytes:
        target = f"{self.endpoint.base}/v{self.version}{request.path}"
        return encode_request(request.method, target, (*self._headers, *request.headers), request.body)

    def submit(self, request: Request) -> Exchange:
        """Puts a request on an idle or new connection."""
        data = self.render(request)
        connection = self._idle.pop() if self._idle else self.open()
        try:
            connection.send(data)
        except OSError as error:
            connection.close()
            if not connection.used:
                raise self.endpoint.unreachable(error) from error
            connection = self.open()
            connection.send(data)
        return Exchange(self, connection, request)

    def send(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        body: object = None,
        headers: Sequence[tuple[str, str]] = (),
        upgrade: bool = False,
    ) -> Exchange:
        """Sends a request; `body` is sent as JSON unless it is None. `upgrade` asks for a raw stream (hijack)."""
        extra = [*headers]
        if body is not None:
            extra.append(("Content-Type", "application/json"))
        if upgrade:
            extra += [("Connection", "Upgrade"), ("Upgrade", "tcp")]
        data = None if body is None else jsontext.encode(body)
        return self.submit(Request(method, path + query(params), extra, data))

    def call(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        body: object = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Response:
        """Sends a request and waits for the head of its answer."""
        return self.send(method, path, params, body, headers).answer()

    def get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> Any:
        """The JSON value that a GET gives."""
        return self.call("GET", path, params).json()

    def post(self, path: str, params: Sequence[tuple[str, str]] = (), body: object = None) -> Any:
        """The JSON value that a POST gives, None when it gives nothing."""
        return self.call("POST", path, params, body).json()

    def lower_version(self, message: str) -> bool:
        """Takes the daemon's newest version from its complaint about ours; False when that is not the complaint."""
        lead, found, newest = message.rpartition("Maximum supported API version is ")
        if self._pinned or not found or "is too new" not in lead or newest == self.version:
            return False
        if not all(part.isascii() and part.isdigit() for part in newest.split(".")):
            return False
        self.version = newest
        return True

    def at_least(self, version: str) -> bool:
        """Whether the version in use is `version` or newer."""
        return _numbers(self.version) >= _numbers(version)


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in version.split(".")]

"""Requests whose body is a stream: sent in chunks as it is read, the answer's head read when all has been sent.

A daemon that refuses in the middle answers and closes: its answer counts, not the broken pipe.
"""

from __future__ import annotations

import posix

from scow.client.api import Client, Exchange, Request
from scow.client.http1 import query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scow.client.api import Response

_PIECE = 1 << 20
_TAR = (("Content-Type", "application/x-tar"),)


def from_descriptor(fd: int) -> Callable[[], bytes]:
    """A source that reads a file descriptor."""
    return lambda: posix.read(fd, _PIECE)


def upload(
    client: Client,
    method: str,
    path: str,
    params: Sequence[tuple[str, str]],
    source: Callable[[], bytes],
    headers: Sequence[tuple[str, str]] = _TAR,
) -> Response:
    """`upload_written` of what `source` gives until b""."""

    def write(send: Callable[[bytes], None]) -> None:
        while piece := source():
            send(piece)

    return upload_written(client, method, path, params, write, headers)


def upload_written(
    client: Client,
    method: str,
    path: str,
    params: Sequence[tuple[str, str]],
    write: Callable[[Callable[[bytes], None]], None],
    headers: Sequence[tuple[str, str]] = _TAR,
) -> Response:
    """Sends what `write` writes into the function that it gets as a chunked body; the connection is not used before or
    again.

    The API version is settled before: a body that is a stream cannot be sent a second time.
    """
    client.call("GET", "/version").read()
    connection = client.open()
    request = Request(method, path + query(params), headers, None)
    head = client.render(request)
    head = head.replace(b"\r\nContent-Length: 0\r\n", b"\r\nTransfer-Encoding: chunked\r\n", 1)
    try:
        connection.send(head)
    except OSError as error:
        raise client.endpoint.unreachable(error) from error

    def send(piece: bytes) -> None:
        if piece:
            connection.send(b"%x\r\n" % len(piece) + piece + b"\r\n")

    try:
        write(send)
        connection.send(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass  # the daemon has answered already
    return Exchange(client, connection, request).answer()

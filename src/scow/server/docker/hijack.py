"""Upgrading a request to a raw stream, for attach and exec."""

import socket

from scow.server.docker.call import COMMON, Call

RAW = b"application/vnd.docker.raw-stream"
MULTIPLEXED = b"application/vnd.docker.multiplexed-stream"


def stream_type(call: Call, tty: bool) -> bytes:
    """The media type of a log or attach stream; framed streams have a name of their own since 1.42."""
    return RAW if tty or call.version < (1, 42) else MULTIPLEXED


async def upgrade(call: Call, tty: bool) -> tuple[socket.socket, bytes]:
    """Answer 101 (200 to a client that did not ask for an upgrade, as old ones do not) and take the connection.

    Everything that can fail must have been checked before. Gives the socket and the bytes that have come early.
    """
    if "upgrade" in call.request.headers:
        head = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: %b\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" % stream_type(
            call, tty
        )
    else:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n" % RAW
    return await call.request.hijack(head + COMMON + b"\r\n")

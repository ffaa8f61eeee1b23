"""Giving away a connection whose bytes need this process (TLS): a socket pair, and copying between its ends.

Such a stream ends with the daemon, unlike a plain one, whose socket itself is given away.
"""

import asyncio
import socket

from scow.background import spawn

_PIECE = 64 << 10


def relay(transport: asyncio.Transport, early: bytes) -> socket.socket:
    """The far end of a pair that is joined to `transport`; `early` is delivered first."""
    near, far = socket.socketpair()
    near.setblocking(False)
    outward = _Outward(transport, near)
    transport.set_protocol(outward)
    spawn(outward.run(early), "tls relay")
    far.setblocking(True)
    return far


class _Outward(asyncio.Protocol):
    """The TLS side: what arrives goes to the pair, what the pair says goes to the client."""

    def __init__(self, transport: asyncio.Transport, near: socket.socket) -> None:
        self._transport = transport
        self._near = near
        self._loop = asyncio.get_running_loop()
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()

    async def run(self, early: bytes) -> None:
        if early:
            self._incoming.put_nowait(early)
        pump = spawn(self._inward(), "tls relay in")
        try:
            while data := await self._loop.sock_recv(self._near, _PIECE):
                await self._writable.wait()
                self._transport.write(data)
        except OSError:
            pass
        finally:
            pump.cancel()
            self._transport.close()
            self._near.close()

    async def _inward(self) -> None:
        self._transport.resume_reading()
        try:
            while data := await self._incoming.get():
                self._transport.pause_reading()
                await self._loop.sock_sendall(self._near, data)
                if self._incoming.empty():
                    self._transport.resume_reading()
            self._near.shutdown(socket.SHUT_WR)
        except OSError:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._incoming.put_nowait(data)

    def eof_received(self) -> None:
        self._incoming.put_nowait(b"")  # asyncio's TLS knows no half-closed state: the client has left

    def connection_lost(self, exc: Exception | None) -> None:
        self._incoming.put_nowait(b"")
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

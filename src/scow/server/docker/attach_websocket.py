"""Route of attach over a WebSocket: what the monitor gives as a plain stream goes out in binary frames, and back."""

import asyncio
import contextlib
import socket

from scow.background import idle, spawn
from scow.engine.containers import attach
from scow.server.docker.call import Call
from scow.server.docker.streams import attach_wish
from scow.server.http import websocket

_BLOCK = 64 << 10
_GOODBYE = 2.0


async def attach_websocket(call: Call) -> None:
    """GET /containers/{id}/attach/ws"""
    attached = await attach.open_attach(call.engine, call.name, attach_wish(call, framed=False))
    accepted = websocket.accept(call.request.headers)
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accepted}",
        "\r\n",
    )
    connection, early = await call.request.hijack("\r\n".join(lines).encode())
    ours, theirs = socket.socketpair()
    spawn(_Relay(connection, ours).run(early), "websocket")
    await attached.connect(theirs)


class _Relay:
    """Between a client's socket and the container's stream; owns both."""

    def __init__(self, client: socket.socket, stream: socket.socket) -> None:
        self._client, self._stream = client, stream
        self._writing = asyncio.Lock()
        for peer in (client, stream):
            peer.setblocking(False)

    async def run(self, early: bytes) -> None:
        coming = spawn(self._from_client(early), "websocket input", awaited=True)
        going = spawn(self._from_container(), "websocket output", awaited=True)
        try:
            await idle(asyncio.wait((coming, going), return_when=asyncio.FIRST_COMPLETED))
            if not coming.done():  # the container has ended: the client answers the close
                await asyncio.wait((coming,), timeout=_GOODBYE)
        finally:
            for task in (coming, going):
                task.cancel()
            await asyncio.wait((coming, going))
            self._client.close()
            self._stream.close()

    async def _from_client(self, data: bytes) -> None:
        loop, decoder = asyncio.get_running_loop(), websocket.Decoder()
        with contextlib.suppress(OSError):
            while True:
                try:
                    frames = decoder.feed(data)
                except websocket.Violation as violation:
                    await self._send(websocket.closing(violation.code))
                    return
                for frame in frames:
                    if frame.opcode == websocket.CLOSE:
                        await self._send(websocket.encode(websocket.CLOSE, frame.payload[:2]))
                        return
                    if frame.opcode == websocket.PING:
                        await self._send(websocket.encode(websocket.PONG, frame.payload))
                    elif frame.opcode != websocket.PONG:
                        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its input is closed
                            await loop.sock_sendall(self._stream, frame.payload)
                data = await loop.sock_recv(self._client, _BLOCK)
                if not data:
                    return

    async def _from_container(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(self._stream, _BLOCK):
                await self._send(websocket.encode(websocket.BINARY, data))
            await self._send(websocket.closing(websocket.NORMAL))

    async def _send(self, frame: bytes) -> None:
        async with self._writing:
            await asyncio.get_running_loop().sock_sendall(self._client, frame)

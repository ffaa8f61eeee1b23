"""A served application on a unix socket in the test's own loop, and a raw HTTP client that hides nothing."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scow.server.http.connection import Handler
from scow.server.listen import Listeners, serve


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode("latin-1")
        first, *lines = raw.rstrip("\r\n").split("\r\n")
        fields = (line.split(": ", 1) for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value for name, value in fields}

    async def chunk(self) -> bytes:
        """One chunk of a chunked body, b"" for the last."""
        size = int(await asyncio.wait_for(self.reader.readline(), 5), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def answer(self, bodiless: bool = False) -> Answer:
        status, headers = await self.head()
        body = b""
        if bodiless or status in (204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while piece := await self.chunk():
                body += piece
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await asyncio.wait_for(self.reader.read(), 5)
        return Answer(status, headers, body)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 5)

    def close(self) -> None:
        self.writer.close()


class Front:
    def __init__(self, path: str, listeners: Listeners) -> None:
        self.path, self.listeners = path, listeners

    async def connect(self) -> Wire:
        return Wire(*await asyncio.open_unix_connection(self.path))

    def plain(self) -> socket.socket:
        """A blocking socket, for what must outlive the loop."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(self.path)
        return sock

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        wire = await self.connect()
        try:
            await wire.send(request(method, path, body, headers, raw))
            return await wire.answer(bodiless=method == "HEAD")
        finally:
            wire.close()


def request(
    method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, raw: bytes | None = None
) -> bytes:
    given = {"Host": "docker"}
    data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    if body is not None:
        given["Content-Type"] = "application/json"
    if data or body is not None:
        given["Content-Length"] = str(len(data))
    given.update(headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data


def served(
    root: Path,
    make: Callable[[], Handler | Awaitable[Handler]] | Handler,
    scenario: Callable[[Front], Coroutine[Any, Any, None]],
) -> None:
    """Serve, run the scenario, close; no task may be left behind."""

    async def body() -> None:
        path = str(root / "s")
        listeners = await serve(make, ["unix://" + path])  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(scenario(Front(path, listeners)), 20)
        finally:
            await listeners.close(0.5)
        for _ in range(200):
            left = [task for task in asyncio.all_tasks() if task.get_name() == "http request"]
            if not left:
                break
            await asyncio.sleep(0.005)
        assert not left, left

    asyncio.run(body())

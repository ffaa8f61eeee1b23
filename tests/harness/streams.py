"""Hijacked connections of the Engine API: attach and exec, raw or in frames of 8 bytes of header."""

import json
import socket
import struct
from typing import Any
from urllib.parse import urlencode

from tests.harness.clients import API, Clients


class Stream:
    """A connection after its 101 (or 200): bytes both ways. `framed` demultiplexes what comes back."""

    def __init__(self, connection: socket.socket, rest: bytes, framed: bool) -> None:
        self.socket, self._buffer, self.framed = connection, rest, framed

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close_stdin(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._buffer += data
        return bool(data)

    def frame(self) -> tuple[int, bytes] | None:
        """The next frame (stream number, payload), or None at the end."""
        while len(self._buffer) < 8:
            if not self._more():
                assert not self._buffer, f"the stream ends inside a header: {self._buffer!r}"
                return None
        kind, size = struct.unpack(">BxxxI", self._buffer[:8])
        while len(self._buffer) < 8 + size:
            assert self._more(), "the stream ends inside a frame"
        payload, self._buffer = self._buffer[8 : 8 + size], self._buffer[8 + size :]
        return kind, payload

    def read(self) -> tuple[bytes, bytes]:
        """Everything up to the end: (stdout, stderr); without frames all is stdout."""
        out = {1: b"", 2: b""}
        if not self.framed:
            while self._more():
                pass
            return self._buffer, b""
        while (item := self.frame()) is not None:
            out[item[0]] += item[1]
        return out[1], out[2]

    def until(self, text: bytes) -> bytes:
        """stdout up to and with `text`."""
        seen = b""
        while text not in seen:
            if self.framed:
                item = self.frame()
                assert item is not None, f"the stream ended; it said {seen!r}"
                seen += item[1]
            else:
                if not self._buffer:
                    assert self._more(), f"the stream ended; it said {seen!r}"
                seen, self._buffer = seen + self._buffer, b""
        return seen


def hijack(engine: Clients, path: str, body: Any = None, framed: bool = True, **query: Any) -> Stream:
    """POST with `Upgrade: tcp` and hand over the connection."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(engine.socket))
    data = b"" if body is None else json.dumps(body).encode()
    head = f"POST /{API}{path}?{urlencode(query)} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(data)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    connection.sendall(head.encode() + data)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(4096)
        assert piece, f"closed before an answer: {answer!r}"
        answer += piece
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    status = head_bytes.split(b" ", 2)[1]
    assert status == b"101", f"{head_bytes.decode()}\n{rest.decode(errors='replace')}"
    return Stream(connection, rest, framed)


def attach(engine: Clients, name: str, **query: Any) -> Stream:
    """Attach to a running container without a terminal."""
    return hijack(engine, f"/containers/{name}/attach", **({"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1} | query))


def execute(engine: Clients, name: str, command: list[str], **config: Any) -> tuple[int, bytes, bytes]:
    """Run a command in a container over the API: (exit code, stdout, stderr)."""
    wanted = {"Cmd": command, "AttachStdout": True, "AttachStderr": True} | config
    created = engine.api("POST", f"/containers/{name}/exec", wanted)
    assert created.status == 201, created.body
    identity = created.json()["Id"]
    stream = hijack(engine, f"/exec/{identity}/start", {"Detach": False, "Tty": False})
    out, err = stream.read()
    stream.close()
    return engine.api("GET", f"/exec/{identity}/json").json()["ExitCode"], out, err


def logs(engine: Clients, name: str, **query: Any) -> tuple[bytes, bytes]:
    """A container's recorded output: (stdout, stderr)."""
    answer = engine.api("GET", f"/containers/{name}/logs", query={"stdout": 1, "stderr": 1} | query)
    assert answer.status == 200, answer.body
    out, rest = {1: b"", 2: b""}, answer.body
    while rest:
        kind, size = struct.unpack(">BxxxI", rest[:8])
        out[kind] += rest[8 : 8 + size]
        rest = rest[8 + size :]
    return out[1], out[2]

"""Attach over a WebSocket, by a client that knows no more than RFC 6455."""

import socket
import struct
from urllib.parse import urlencode

from tests.harness import streams
from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class WebSocket:
    """A client's side; `status` is that of the handshake's answer."""

    def __init__(self, clients: Clients, name: str, origin: str = "", **query: int) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(clients.socket))
        fields = [
            "Host: d",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {KEY}",
            "Sec-WebSocket-Version: 13",
        ]
        if origin:
            fields.append(f"Origin: {origin}")
        head = "\r\n".join([f"GET /v1.45/containers/{name}/attach/ws?{urlencode(query)} HTTP/1.1", *fields, "", ""])
        self.socket.sendall(head.encode())
        self._rest = b""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self.socket.recv(4096)
        self.head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    def send(self, payload: bytes, opcode: int = 2) -> None:
        self.socket.sendall(bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload)

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = self.socket.recv(65536)
            assert data, "the connection ends inside a frame"
            self._rest += data
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def frame(self) -> tuple[int, bytes]:
        first, size = self._exactly(2)
        assert first & 0x80 and not size & 0x80
        if size == 126:
            (size,) = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._exactly(8))
        return first & 0x0F, self._exactly(size)

    def until(self, text: bytes) -> bytes:
        seen = b""
        while text not in seen:
            opcode, payload = self.frame()
            assert opcode == 2, (opcode, payload)
            seen += payload
        return seen


def test_a_conversation(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sh", "-c", "echo before; cat; echo done >&2"], OpenStdin=True, StdinOnce=True)
    await_true("its first words", lambda: streams.logs(clean, "c1")[0])  # what comes between log and stream is lost
    peer = WebSocket(clean, "c1", stream=1, stdin=1, stdout=1, stderr=1, logs=1)
    assert peer.status == 101 and b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in peer.head
    assert peer.until(b"before\n") == b"before\n"  # plain: no headers of Docker's
    peer.send(b"hello\n")
    assert peer.until(b"hello\n") == b"hello\n"
    peer.send(b"are you there", opcode=9)
    assert peer.frame() == (10, b"are you there")
    peer.send(b"text\n", opcode=1)
    assert peer.until(b"text\n")
    clean.api("POST", "/containers/c1/kill")
    assert peer.frame() == (8, struct.pack(">H", 1000))


def test_a_close_of_the_client_leaves_the_container(clean: Clients) -> None:
    clean.launch("c1", Cmd=["cat"], OpenStdin=True)
    peer = WebSocket(clean, "c1", stream=1, stdin=1, stdout=1)
    peer.send(struct.pack(">H", 1000), opcode=8)
    assert peer.frame() == (8, struct.pack(">H", 1000))
    assert peer.socket.recv(1) == b""
    assert clean.inspect("c1")["State"]["Running"]


def test_a_violation_is_told_and_ends_it(clean: Clients) -> None:
    clean.launch("c1", Cmd=["cat"], OpenStdin=True)
    peer = WebSocket(clean, "c1", stream=1, stdin=1, stdout=1)
    peer.socket.sendall(b"\x82\x01x")  # not masked
    assert peer.frame() == (8, struct.pack(">H", 1002))
    assert clean.inspect("c1")["State"]["Running"]


def test_a_terminal_and_much_output(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sh", "-c", "read x; seq 1 100000; echo end"], OpenStdin=True, Tty=True)
    peer = WebSocket(clean, "c1", stream=1, stdin=1, stdout=1)
    peer.send(b"go\n")
    seen = peer.until(b"end\r\n")
    assert seen.endswith(b"99999\r\n100000\r\nend\r\n")


def test_refusals_come_before_the_upgrade(scratch: Engine) -> None:
    scratch.launch("c1", Cmd=["cat"], OpenStdin=True)
    assert WebSocket(scratch, "nosuch", stream=1).status == 404
    assert WebSocket(scratch, "c1", origin="http://evil.example", stream=1, stdout=1).status == 403
    plain = scratch.api("GET", "/containers/c1/attach/ws", query={"stream": 1})
    assert (plain.status, plain.message) == (400, "not websocket protocol")


def test_checkpoints_are_refused_clearly(scratch: Engine) -> None:
    for method, path in (("GET", "checkpoints"), ("POST", "checkpoints"), ("DELETE", "checkpoints/one")):
        answer = scratch.api(method, f"/containers/c1/{path}")
        assert (answer.status, answer.message) == (501, "checkpoints of containers are not supported by scow")

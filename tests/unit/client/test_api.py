"""The client against a scripted daemon."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scow.client.api import ApiError, Client
from scow.client.endpoint import Endpoint
from scow.client.upload import upload
from scow.errors import DataLoss, InvalidArgument, Unavailable

Script = Callable[[int, bytes], bytes]  # (request number on this daemon, request) -> raw answer; b"" closes


class Daemon:
    def __init__(self, path: str, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65536):
                self.requests.append(request)
                answer = self.script(len(self.requests), request)
                if not answer:
                    return
                connection.sendall(answer)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Script], tuple[Client, Daemon]]]:
    daemons = []

    def run(script: Script) -> tuple[Client, Daemon]:
        daemon = Daemon(str(tmp_path / "s"), script)
        daemons.append(daemon)
        return Client(Endpoint(f"unix://{tmp_path / 's'}")), daemon

    yield run
    for daemon in daemons:
        daemon.listener.close()


def ok(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


Start = Callable[[Script], tuple[Client, Daemon]]


def test_one_connection_serves_request_after_request(start: Start) -> None:
    client, daemon = start(lambda n, _: ok(b'{"n":%d}' % n))
    assert [client.get("/a")["n"], client.post("/b", [("x", "1 2")], {"k": "é"})["n"]] == [1, 2]
    assert daemon.connections == 1
    assert daemon.requests[1].startswith(b"POST /v1.45/b?x=1%202 HTTP/1.1\r\n")
    assert daemon.requests[1].endswith(b'{"k":"\\u00e9"}')


def test_an_idle_connection_that_the_daemon_closed_is_replaced(start: Start) -> None:
    client, daemon = start(lambda n, _: ok(b"1") if n != 2 else b"")
    assert client.get("/a") == 1
    assert client.get("/b") == 1
    assert daemon.connections == 2


def test_a_daemon_that_closes_a_fresh_connection_is_an_error(start: Start) -> None:
    client, _ = start(lambda n, _: b"")
    with pytest.raises(Unavailable):
        client.get("/a")


def test_an_older_daemon_is_asked_in_its_version(start: Start) -> None:
    complaint = b'{"message":"client version 1.45 is too new. Maximum supported API version is 1.41"}'

    def script(n: int, request: bytes) -> bytes:
        return ok(b'"yes"') if b"/v1.41/" in request else ok(complaint, "400 Bad Request")

    client, daemon = start(script)
    assert client.post("/a", (), {"body": 1}) == "yes"
    assert client.post("/a", (), {"body": 1}) == "yes"
    assert len(daemon.requests) == 3
    assert client.version == "1.41"


def test_a_pinned_version_is_not_lowered(start: Start) -> None:
    complaint = b'{"message":"client version 9.9 is too new. Maximum supported API version is 1.41"}'
    client, _ = start(lambda n, _: ok(complaint, "400 Bad Request"))
    pinned = Client(client.endpoint, "9.9")
    with pytest.raises(ApiError, match="too new"):
        pinned.get("/a")


@pytest.mark.parametrize(
    ("body", "message"),
    [(b'{"message":"no such thing"}\n', "no such thing"), (b"plain", "plain"), (b"", "request returned Gone")],
)
def test_errors_carry_the_daemons_words(start: Start, body: bytes, message: str) -> None:
    client, _ = start(lambda n, _: ok(body, "410 Gone"))
    with pytest.raises(ApiError) as caught:
        client.get("/a")
    assert (caught.value.status, str(caught.value)) == (410, f"Error response from daemon: {message}")


def test_a_stream_of_values_and_the_connection_after_it(start: Start) -> None:
    stream = (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"a":1\r\n9\r\n}\r\n{"b":2\r\n1\r\n}\r\n0\r\n\r\n'
    )
    client, daemon = start(lambda n, _: stream if n == 1 else ok(b"3"))
    assert list(client.call("GET", "/s").values()) == [{"a": 1}, {"b": 2}]
    assert client.get("/after") == 3
    assert daemon.connections == 1


def test_a_body_that_ends_early_is_data_loss(start: Start) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"

    def script(n: int, request: bytes) -> bytes:
        threading.Timer(0, lambda: None)
        return cut

    client, daemon = start(script)
    response = client.call("GET", "/a")
    daemon.script = lambda n, _: b""
    response._connection.sock.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]
    with pytest.raises(DataLoss):
        response.read()


def test_hijack_gives_what_came_with_the_head(start: Start) -> None:
    client, daemon = start(lambda n, _: b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nearly")
    connection = client.send("POST", "/attach", upgrade=True).answer().hijack()
    assert connection.receive() == b"early"
    assert b"Connection: Upgrade\r\nUpgrade: tcp\r\n" in daemon.requests[0]
    connection.close()


def test_a_bad_body_and_a_bad_head_are_data_loss(start: Start) -> None:
    client, _ = start(lambda n, _: ok(b"{") if n == 1 else b"SSH-2.0-OpenSSH\r\n\r\n")
    with pytest.raises(DataLoss):
        client.get("/a")
    with pytest.raises(DataLoss):
        client.get("/b")


def test_no_daemon_is_dockers_sentence(tmp_path: Path) -> None:
    client = Client(Endpoint(f"unix://{tmp_path}/none"))
    with pytest.raises(Unavailable) as caught:
        client.get("/a")
    assert str(caught.value) == (
        f"Cannot connect to the Docker daemon at unix://{tmp_path}/none. Is the docker daemon running?"
    )


@pytest.mark.parametrize("host", ["ssh://x", "foo", "tcp://a:0", "tcp://a:99999", "tcp://a:b", "npipe:////./x"])
def test_hosts_that_are_not_spoken_to(host: str) -> None:
    with pytest.raises(InvalidArgument):
        Endpoint(host)


def test_tcp_hosts() -> None:
    for text, address, port, base in (
        ("tcp://h:99/base/", "h", 99, "/base"), ("tcp://[::1]:7", "::1", 7, ""), ("tcp://h", "h", 2375, ""),
    ):  # fmt: skip
        endpoint = Endpoint(text)
        assert (endpoint.address, endpoint.port, endpoint.base) == (address, port, base)


def test_a_streamed_body_is_sent_once_and_in_a_version_that_the_daemon_knows(start: Start) -> None:
    def script(n: int, request: bytes) -> bytes:
        if b"/v1.45/" in request:
            text = b'{"message":"client version 1.45 is too new. Maximum supported API version is 1.41"}'
            return ok(text, "400 Bad Request")
        complete = request.startswith(b"GET") or request.endswith(b"0\r\n\r\n")
        return ok(b"{}") if complete else b"HTTP/1.1 100 Continue\r\n\r\n"

    client, daemon = start(script)
    pieces = iter((b"abc", b""))
    upload(client, "POST", "/images/load", (), lambda: next(pieces)).read()
    sent = b"".join(daemon.requests).partition(b"POST ")[2]
    assert sent.startswith(b"/v1.41/images/load") and sent.endswith(b"3\r\nabc\r\n0\r\n\r\n")

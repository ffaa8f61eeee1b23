"""The relay in a thread of the test, on ::1 and 127.0.0.1; no privileges needed."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scow.network.relay import Loop, Relay
from scow.network.reserve import host_has_ipv6

pytestmark = pytest.mark.skipif(not host_has_ipv6(), reason="this machine has no IPv6")


class Control:
    """A daemon's side of the control socket."""

    def __init__(self, path: str) -> None:
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.settimeout(5)
        self.connection.connect(path)

    def add(self, protocol: str, key: str, target: tuple[str, int]) -> int:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET6, kind) as outside:
            outside.bind(("::1", 0))
            if protocol == "tcp":
                outside.listen()
            line = f"add {protocol} {key} {target[0]} {target[1]}"
            socket.send_fds(self.connection, [line.encode()], [outside.fileno()])
            port: int = outside.getsockname()[1]
            return port

    def ask(self, message: str) -> str:
        self.connection.send(message.encode())
        return self.connection.recv(1 << 16).decode().strip()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    path = tmp_path / "relay.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        relay = Relay(listener, str(path))
        thread = threading.Thread(target=relay.run)
        thread.start()
        control = Control(str(path))
        yield control
        path.unlink()  # its sign to go
        with contextlib.suppress(OSError):
            control.ask("list")
        control.connection.close()
        thread.join(10)
        assert not thread.is_alive()


def echo(kind: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, kind)
    server.bind(("127.0.0.1", 0))
    server.settimeout(5)
    if kind == socket.SOCK_STREAM:
        server.listen()
    return server


def test_streams_with_half_close_in_both_directions(control: Control) -> None:
    with echo(socket.SOCK_STREAM) as server:
        port = control.add("tcp", "k", server.getsockname())
        with socket.create_connection(("::1", port), 5) as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            inside, _ = server.accept()
            with inside:
                assert inside.recv(100) == b"question"
                assert inside.recv(100) == b""
                inside.sendall(b"answer" * 100000)
            answer = bytearray()
            while data := client.recv(65536):
                answer += data
            assert bytes(answer) == b"answer" * 100000


@contextlib.contextmanager
def twins(control: Control) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection through the relay."""
    with echo(socket.SOCK_STREAM) as server:
        port = control.add("tcp", "k", server.getsockname())
        with socket.create_connection(("::1", port), 5) as client:
            inside, _ = server.accept()
            with inside:
                inside.settimeout(5)
                yield client, inside


def test_bytes_come_as_they_were_sent_whatever_their_number(control: Control) -> None:
    """Below, at and above what is read at once; with a sink that does not read for a while."""
    with twins(control) as (client, inside):
        for size in (1, 65535, 65536, 65537, 10, 1 << 20, 3):
            for source, sink in ((client, inside), (inside, client)):
                data = bytes(number % 251 for number in range(size))
                sender = threading.Thread(target=source.sendall, args=(data,))
                sender.start()
                found = bytearray()
                while len(found) < size:
                    found += sink.recv(1 << 16)
                sender.join()
                assert bytes(found) == data


def test_what_only_hangs_keeps_nobody_busy(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that has said all and is then torn down, beside one that says nothing: the loop wakes for questions only."""
    rounds = 0
    run_once = Loop.run_once

    def counted(loop: Loop, timeout: float) -> None:
        nonlocal rounds
        rounds += 1
        run_once(loop, timeout)

    monkeypatch.setattr(Loop, "run_once", counted)
    with twins(control) as (client, inside):
        client.shutdown(socket.SHUT_WR)
        assert inside.recv(1) == b""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        before = rounds
        for _ in range(1000):
            assert control.ask("list")
        assert rounds - before <= 1010
        with pytest.raises(OSError):  # the first byte is taken, a later one is told
            while True:
                inside.sendall(b"x")
                control.ask("list")


def test_a_refusal_inside_is_a_reset_outside(control: Control) -> None:
    with echo(socket.SOCK_STREAM) as server:
        target = server.getsockname()
    port = control.add("tcp", "k", target)
    with pytest.raises(ConnectionResetError), socket.create_connection(("::1", port), 5) as client:
        client.recv(1)


def test_datagrams_of_several_clients(control: Control) -> None:
    with echo(socket.SOCK_DGRAM) as server:
        port = control.add("udp", "k", server.getsockname())
        clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.settimeout(5)
            client.connect(("::1", port))
            client.send(b"%d" % number)
            data, address = server.recvfrom(100)
            server.sendto(b"re " + data, address)
        for number, client in enumerate(clients):
            assert client.recv(100) == b"re %d" % number
            client.close()


def test_listing_and_removing(control: Control) -> None:
    with echo(socket.SOCK_STREAM) as server:
        host, inside = server.getsockname()
        port = control.add("tcp", "tcp/[::1]:1", (host, inside))
        assert control.ask("list") == f"tcp/[::1]:1 {host} {inside}"
        assert control.ask("remove tcp/[::1]:1 unknown") == "removed"
        assert control.ask("list") == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", port), 5)


@pytest.mark.parametrize(
    "message", ["add tcp k 127.0.0.1 80", "add nonsense", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")]
)
def test_nonsense_ends_the_conversation_and_nothing_else(control: Control, message: str, tmp_path: Path) -> None:
    other = Control(str(tmp_path / "relay.sock"))
    other.connection.send(message.encode("latin-1"))
    assert other.connection.recv(100) == b""
    other.connection.close()
    assert control.ask("list") == ""

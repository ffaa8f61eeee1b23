"""Namespaces that stand for containers, a resolver of the test's own outside, and a small DNS client."""

import contextlib
import itertools
import os
import secrets
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from scow.network.dns import message
from scow.network.dns.message import Message, Question, Record

_CLIENT = """
import socket, struct, sys
protocol, server, wait = sys.argv[1], sys.argv[2], float(sys.argv[3])
query = sys.stdin.buffer.read()
if protocol == "tcp":
    with socket.create_connection((server, 53), wait) as s:
        s.settimeout(wait)
        s.sendall(struct.pack("!H", len(query)) + query)
        f = s.makefile("rb")
        head = f.read(2)
        data = f.read(struct.unpack("!H", head)[0]) if head else b""
else:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(wait)
        s.connect((server, 53))
        s.send(query)
        data = s.recv(65535)
sys.stdout.buffer.write(data)
"""
_numbers = itertools.count(secrets.randbelow(100))


def name(text: str) -> message.Name:
    return tuple(text.encode().split(b".")) if text else ()


def question(text: str, kind: int = message.A) -> Question:
    return Question(name(text), kind)


@dataclass
class Room:
    """A network namespace with a wire to the host: 10.244.N.1 outside, 10.244.N.2 inside."""

    number: int
    process: subprocess.Popen[str]
    netns: int

    @property
    def outside(self) -> str:
        return f"10.244.{self.number}.1"

    def run(self, *command: str, data: bytes = b"", wait: float = 20) -> "subprocess.CompletedProcess[bytes]":
        whole = ["nsenter", f"--net=/proc/self/fd/{self.netns}", *command]
        return subprocess.run(whole, input=data, capture_output=True, timeout=wait, pass_fds=(self.netns,))

    def send(self, data: bytes, protocol: str = "udp", wait: float = 8) -> bytes:
        """The bytes that come back; b"" for none."""
        done = self.run(sys.executable, "-I", "-S", "-c", _CLIENT, protocol, "127.0.0.11", str(wait), data=data)
        return done.stdout

    def ask(self, text: str, kind: int = message.A, *, protocol: str = "udp", edns: int = 0) -> Message:
        extra = (Record((), message.OPT, edns, 0, b""),) if edns else ()
        query = Message(secrets.randbelow(65536), 0x0100, (question(text, kind),), (), (), extra)
        answer = message.decode(self.send(message.encode(query), protocol))
        assert answer.id == query.id and answer.is_response
        return answer

    def addresses(self, text: str, kind: int = message.A) -> list[str]:
        """Sorted; ["NXDOMAIN"] and such for what is no answer."""
        answer = self.ask(text, kind)
        if answer.rcode:
            return [{3: "NXDOMAIN", 2: "SERVFAIL", 5: "REFUSED"}.get(answer.rcode, str(answer.rcode))]
        family = {4: socket.AF_INET, 16: socket.AF_INET6}
        return sorted(socket.inet_ntop(family[len(one.data)], one.data) for one in answer.answers)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.netns)
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def room() -> Room:
    for _ in range(100):
        number = next(_numbers) % 250
        veth = f"sctdns{number}"
        done = subprocess.run(["ip", "link", "add", veth, "type", "veth", "peer", "name", "e0"], capture_output=True)
        if done.returncode == 0:
            break
    inside = (
        "ip link set lo up; ip addr add 10.244.%d.2/24 dev e0; ip link set e0 up; ip route add default via 10.244.%d.1"
    )
    process = subprocess.Popen(
        ["unshare", "-n", "sh", "-c", "echo here; read x; exec sleep 600"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "here\n"
    netns = os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    # the peer is made outside under a name that may be taken there: move it at once
    subprocess.run(["ip", "link", "set", "e0", "netns", str(process.pid)], check=True)
    subprocess.run(["ip", "addr", "add", f"10.244.{number}.1/24", "dev", veth], check=True)
    subprocess.run(["ip", "link", "set", veth, "up"], check=True)
    made = Room(number, process, netns)
    made.run("sh", "-c", inside % (number, number))
    process.stdin.close()
    return made


Behaviour = Callable[[Message, str], "bytes | None"]


def address_answer(query: Message, address: str = "192.0.2.7", count: int = 1) -> bytes:
    asked = query.questions[0]
    records = tuple(Record(asked.name, message.A, message.IN, 5, socket.inet_aton(address)) for _ in range(count))
    return message.encode(message.reply(query, 0, records))


@dataclass
class Upstream:
    """A resolver outside, at port 53 of `address`. behave(query, protocol) -> the answer, or None for silence."""

    address: str
    behave: Behaviour
    tcp: bool = True
    queries: list[tuple[str, str, int, tuple[str, int]]] = field(default_factory=list)  # protocol, name, id, peer

    def __enter__(self) -> "Upstream":
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((self.address, 53))
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, 53))
        self._threads = [threading.Thread(target=self._datagrams)]
        if self.tcp:
            self._listener.listen()
            self._threads.append(threading.Thread(target=self._connections))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._udp, self._listener):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _answer(self, data: bytes, protocol: str, peer: tuple[str, int]) -> bytes | None:
        query = message.decode(data)
        self.queries.append((protocol, message.text(query.questions[0].name), query.id, peer))
        return self.behave(query, protocol)

    def _datagrams(self) -> None:
        while True:
            try:
                data, peer = self._udp.recvfrom(65535)
                if not data:
                    return
                answer = self._answer(data, "udp", peer)
                if answer is not None:
                    self._udp.sendto(answer, peer)
            except OSError:
                return

    def _connections(self) -> None:
        while True:
            try:
                client, peer = self._listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream, contextlib.suppress(OSError):
                client.settimeout(5)
                head = stream.read(2)
                if len(head) == 2:
                    answer = self._answer(stream.read(struct.unpack("!H", head)[0]), "tcp", peer)
                    if answer is not None:
                        client.sendall(struct.pack("!H", len(answer)) + answer)


@contextlib.contextmanager
def rooms(count: int) -> Iterator[list[Room]]:
    made: list[Room] = []
    try:
        for _ in range(count):
            made.append(room())
        yield made
    finally:
        for one in made:
            one.close()

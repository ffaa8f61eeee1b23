"""Where a container's questions arrive: a UDP socket and a TCP listener in its namespace."""

import errno
import os
import socket
import struct
import time
from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT
from typing import NamedTuple

from scow.network.dns import message
from scow.network.dns.decision import Asker, decide, intake
from scow.network.dns.exchange import PATIENCE, Blame, Exchange, cut, upstreams
from scow.network.dns.message import Message
from scow.network.dns.outside import Deadlines, Errand, HostResolvers, Namespaces
from scow.network.dns.redirect import install
from scow.network.dns.zones import Zones
from scow.network.relay import Loop
from scow.network.resolver import RESOLVER

_PORT = 53
_ERRANDS = 256  # questions of one container under way outside
_ERRANDS_OF_ALL = 8192
_CONNECTIONS = 64
_PER_CONNECTION = 32
_TURN = 32  # datagrams taken before other containers have their turn
_QUERY = 4096
_IDLE = 10.0
_PAUSE = 1.0
_UNSENT = 1 << 20
_LENGTH = struct.Struct("!H")


class House:
    """What all counters share."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.patience = Deadlines(PATIENCE)
        self.idle = Deadlines(_IDLE)
        self.pauses = Deadlines(_PAUSE)
        self.namespaces = Namespaces()
        self.host = HostResolvers()
        self.zones = Zones()
        self.errands = 0
        self.turn = 0

    def expire(self, now: float) -> float:
        """Seconds until it is to be called again."""
        return min(one.run(now) for one in (self.patience, self.idle, self.pauses))


class Terms(NamedTuple):
    """What holds for one container's questions."""

    asker: Asker
    resolvers: tuple[str, ...] = ()


class Counter:
    """One container. `terms` may be replaced at any time."""

    def __init__(self, house: House, netns: int, terms: Terms) -> None:
        """Takes over the fd. OSError when the sockets cannot be had; then nothing is left, the fd apart."""
        self.terms = terms
        self._house = house
        self._netns = netns
        self._errands: set[Errand] = set()
        self._connections: dict[Connection, None] = {}  # the one that was used longest ago first
        self._blame = Blame()
        self._udp, self._tcp = _listen(house.namespaces, netns)
        house.loop.watch(self._udp.fileno(), EPOLLIN, self._datagrams)
        house.loop.watch(self._tcp.fileno(), EPOLLIN, self._accept)

    @property
    def namespace(self) -> tuple[int, int]:
        status = os.fstat(self._netns)
        return status.st_dev, status.st_ino

    def close(self) -> None:
        self._house.pauses.drop(self)
        for errand in self._errands:
            errand.cancel()
        self._house.errands -= len(self._errands)
        self._errands.clear()
        for connection in list(self._connections):
            connection.close()
        for one in (self._udp, self._tcp):
            self._house.loop.forget(one.fileno())
            one.close()
        os.close(self._netns)

    # ------------------------------------------------------------ questions

    def ask(self, data: bytes, *, tcp: bool, answer: Callable[[bytes], None]) -> bool:
        """Take one message of the client; `answer` is called now, later, or never. False when it is no question."""
        query = intake(data)
        if not isinstance(query, Message):
            if query is not None:
                answer(query)
            return query is not None
        self._house.turn += 1
        limit = message.LIMIT if tcp else query.udp_limit
        decision = decide(query.questions[0], self.terms.asker, self._house.zones, self._house.turn)
        if decision.forward:
            self._forward(data, query, tcp, limit, answer)
        else:
            answer(message.within(message.reply(query, decision.rcode, decision.records), limit))
        return True

    def _forward(self, data: bytes, query: Message, tcp: bool, limit: int, answer: Callable[[bytes], None]) -> None:
        if len(self._errands) >= _ERRANDS or self._house.errands >= _ERRANDS_OF_ALL:
            return answer(message.encode(message.reply(query, message.REFUSED)))
        now = time.monotonic()
        question = query.questions[0]
        whom = self._blame.order(upstreams(self.terms.resolvers, self._house.host.get(now)), now)
        exchange = Exchange(data, question, query.id, whom, tcp=tcp)

        def done(errand: Errand, found: bytes) -> None:
            if errand in self._errands:
                self._errands.discard(errand)
                self._house.errands -= 1
            answer(cut(found, question, limit))

        house = self._house
        errand = Errand(house.loop, house.patience, house.namespaces, self._netns, exchange, done, self._blame)
        self._errands.add(errand)
        house.errands += 1
        errand.start()

    # ------------------------------------------------------------ sockets

    def _datagrams(self, _events: int) -> None:
        for _ in range(_TURN):
            try:
                data, address = self._udp.recvfrom(_QUERY)
            except OSError:
                return
            self.ask(data, tcp=False, answer=lambda found, to=address: self._send(found, to))  # type: ignore[misc]

    def _send(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            self._udp.sendto(data, address)
        except (OSError, ValueError):
            pass  # as a network would: the datagram is lost

    def _accept(self, _events: int) -> None:
        try:
            client, _ = self._tcp.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._house.loop.forget(self._tcp.fileno())  # new ones wait in the kernel's queue
                self._house.pauses.put(self, time.monotonic())
            return
        if len(self._connections) >= _CONNECTIONS:
            next(iter(self._connections)).close()
        self._connections[Connection(self._house, self, client)] = None

    def expire(self) -> None:
        """The pause has ended."""
        self._house.loop.watch(self._tcp.fileno(), EPOLLIN, self._accept)

    def used(self, connection: "Connection") -> None:
        self._connections[connection] = self._connections.pop(connection, None)

    def left(self, connection: "Connection") -> None:
        self._connections.pop(connection, None)


class Connection:
    """One TCP connection: any number of questions, each with its length before it; answers as they come."""

    def __init__(self, house: House, counter: Counter, client: socket.socket) -> None:
        self._house = house
        self._counter = counter
        self._socket = client
        self._in = b""
        self._out = b""
        self._waiting = 0
        self._ended = False  # the client sends no more
        self._busy = False
        client.setblocking(False)
        self._arm()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._counter.left(self)
            self._house.idle.drop(self)
            self._house.loop.forget(self._socket.fileno())
            self._socket.close()

    def expire(self) -> None:
        self.close()

    def _arm(self) -> None:
        self._house.idle.put(self, time.monotonic())
        free = not self._ended and self._waiting < _PER_CONNECTION and len(self._out) < _UNSENT
        events = (EPOLLIN if free else 0) | (EPOLLOUT if self._out else 0)
        self._house.loop.watch(self._socket.fileno(), events, self._ready)

    def _ready(self, events: int) -> None:
        self._counter.used(self)
        if events & EPOLLIN:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                return self.close()
            self._ended = not data
            self._in += data
        elif not events & EPOLLOUT:
            return self.close()  # reset by the client
        self._go_on()

    def _go_on(self) -> None:
        """Take questions that are whole, send what can be sent."""
        self._busy = True
        while len(self._in) >= 2 and self._waiting < _PER_CONNECTION and len(self._out) < _UNSENT:
            (length,) = _LENGTH.unpack_from(self._in)
            if len(self._in) < 2 + length:
                break
            data, self._in = self._in[2 : 2 + length], self._in[2 + length :]
            self._waiting += 1
            if not self._counter.ask(data, tcp=True, answer=self._answer):
                return self.close()
        self._busy = False
        try:
            if self._out:
                self._out = self._out[self._socket.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            return self.close()
        if self._ended and not self._waiting and not self._out:
            return self.close()
        self._arm()

    def _answer(self, data: bytes) -> None:
        self._waiting -= 1
        self._out += _LENGTH.pack(len(data)) + data
        if not self._busy and self._socket.fileno() >= 0:
            self._go_on()


def _listen(namespaces: Namespaces, netns: int) -> tuple[socket.socket, socket.socket]:
    """Sockets that get what is sent to 127.0.0.11 port 53 in the namespace."""
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    udp = tcp = None
    try:
        with namespaces.inside(netns):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | flags)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | flags)
            udp.bind((RESOLVER, 0))
            tcp.bind((RESOLVER, 0))
            ports = {"udp": udp.getsockname()[1], "tcp": tcp.getsockname()[1]}
            if not install(RESOLVER, ports):
                udp.close()
                tcp.close()
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | flags)
                tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | flags)
                for one in (udp, tcp):  # a server of the container that sets this, too, can still have 0.0.0.0:53
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind((RESOLVER, _PORT))
            tcp.listen(_CONNECTIONS)
    except OSError:
        for opened in (udp, tcp):
            if opened is not None:
                opened.close()
        raise
    return udp, tcp

"""The helper's sockets towards resolvers: each question from a new socket in the right namespace."""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from select import EPOLLIN, EPOLLOUT
from typing import Protocol

from scow.linux import libc
from scow.network import resolver
from scow.network.dns.exchange import Ask, Blame, Exchange, Reply
from scow.network.relay import Loop

_CLONE_NEWNET = 0x40000000
_PORT = 53
_LENGTH = struct.Struct("!H")
_LOOK_AGAIN = 1.0


class Expiring(Protocol):
    def expire(self) -> None: ...


class Deadlines:
    """Things that have a fixed time. What is dropped before costs nothing more."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Expiring, float] = {}  # the next one first

    def put(self, one: Expiring, now: float) -> None:
        """Its time begins, or begins anew."""
        self._due.pop(one, None)
        self._due[one] = now + self._seconds

    def drop(self, one: Expiring) -> None:
        self._due.pop(one, None)

    def run(self, now: float) -> float:
        """Expire what is due; seconds until the next one is."""
        while self._due:
            one, due = next(iter(self._due.items()))
            if due > now:
                return due - now
            del self._due[one]
            one.expire()
        return self._seconds


class Namespaces:
    """Enters a container's network namespace for some system calls."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def inside(self, netns: int) -> Iterator[None]:
        libc.setns(netns, _CLONE_NEWNET)
        try:
            yield
        finally:
            try:
                libc.setns(self._home, _CLONE_NEWNET)
            except OSError:
                os._exit(1)  # whatever came next would happen in a container's network


class HostResolvers:
    """What the host's resolv.conf says now; Docker's public ones when it names none."""

    def __init__(self, path: str = "/etc/resolv.conf") -> None:
        self._path = path
        self._looked = -_LOOK_AGAIN
        self._stamp: tuple[int, ...] = ()
        self._found: tuple[str, ...] = resolver.FALLBACK

    def get(self, now: float) -> tuple[str, ...]:
        if now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            try:
                status = os.stat(self._path)
                stamp: tuple[int, ...] = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
            except OSError:
                stamp = (0,)
            if stamp != self._stamp:
                self._stamp = stamp
                self._found = resolver.read_file(self._path).nameservers or resolver.FALLBACK
        return self._found


class Errand:
    """Carries one exchange out: its sockets and its deadline. `done` is called once, with the answer, unless cancelled."""

    def __init__(
        self,
        loop: Loop,
        deadlines: Deadlines,
        namespaces: Namespaces,
        netns: int,
        exchange: Exchange,
        done: Callable[["Errand", bytes], None],
        blame: Blame,
    ) -> None:
        self._loop = loop
        self._deadlines = deadlines
        self._namespaces = namespaces
        self._netns = netns
        self._exchange = exchange
        self._done = done
        self._blame = blame
        self._socket: socket.socket | None = None
        self._attempt = 0
        self._buffer = b""

    def start(self) -> None:
        self._obey(self._exchange.start(_number()))

    def cancel(self) -> None:
        self._attempt += 1
        self._deadlines.drop(self)
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _obey(self, command: Ask | Reply | None) -> None:
        while isinstance(command, Ask):
            self.cancel()
            try:
                self._send(command)
            except OSError:
                command = self._exchange.failed(_number())
                continue
            return self._deadlines.put(self, time.monotonic())
        if isinstance(command, Reply):
            self.cancel()
            self._done(self, command.data)

    def _send(self, ask: Ask) -> None:
        address = (ask.upstream.address, _PORT)
        if ask.upstream.host:
            self._socket = self._open(address, ask.tcp)
        else:
            with self._namespaces.inside(self._netns):
                self._socket = self._open(address, ask.tcp)
        if ask.tcp:
            self._buffer = _LENGTH.pack(len(ask.payload)) + ask.payload
            self._loop.watch(self._socket.fileno(), EPOLLOUT, self._write)
        else:
            self._socket.send(ask.payload)
            self._loop.watch(self._socket.fileno(), EPOLLIN, self._datagram)

    def _open(self, address: tuple[str, int], tcp: bool) -> socket.socket:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            opened.connect(address)
        except BlockingIOError:
            pass
        except OSError:
            opened.close()
            raise
        return opened

    def expire(self) -> None:
        self._blame.put(self._exchange.upstream, time.monotonic())
        self._obey(self._exchange.expired(_number()))

    def _fail(self) -> None:
        self._blame.put(self._exchange.upstream, time.monotonic())
        self._obey(self._exchange.failed(_number()))

    def _take(self, data: bytes) -> None:
        command = self._exchange.received(data, _number())
        if isinstance(command, Reply):
            self._blame.forgive(self._exchange.upstream)
        self._obey(command)

    def _datagram(self, _events: int) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65535)
        except BlockingIOError:
            return
        except OSError:  # refused, unreachable
            return self._fail()
        self._take(data)

    def _write(self, _events: int) -> None:
        assert self._socket is not None
        try:
            self._buffer = self._buffer[self._socket.send(self._buffer) :]
        except BlockingIOError:
            return
        except OSError:
            return self._fail()
        if not self._buffer:
            self._loop.watch(self._socket.fileno(), EPOLLIN, self._read)

    def _read(self, _events: int) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self._fail()
        self._buffer += data
        attempt = self._attempt
        while attempt == self._attempt and len(self._buffer) >= 2:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if len(self._buffer) < 2 + length:
                return
            frame, self._buffer = self._buffer[2 : 2 + length], self._buffer[2 + length :]
            self._take(frame)


def _number() -> int:
    """An id that nobody can guess."""
    return int.from_bytes(os.urandom(2), "big")

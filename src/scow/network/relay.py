"""The relay: connections and datagrams to a published port, carried to the container's IPv4 address.

A program of its own, one per daemon, started when it is first needed: for a port at an IPv6 address, which the kernel does not
translate to IPv4, or for any port when the host's own firewall decides. Traffic goes on when the daemon does not. It drops its
privileges and listens on no address by itself: bound sockets come from the daemon over the control socket (SOCK_SEQPACKET,
inherited as standard input, the peer's user checked). Its path is the one argument.

Messages are text: "add PROTOCOL KEY ADDRESS PORT" lines with one socket each, in order; "remove KEY …" answered by
"removed"; "list" answered by "KEY ADDRESS PORT" lines. It ends when it has had nothing to do for some seconds.
"""

import errno
import fcntl
import os
import resource
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT

_CHUNK = 1 << 16
_PIPE = 1 << 18  # an unprivileged user's pipes have 64 MiB together before the kernel makes them small
_NOW = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_MESSAGE = 1 << 18
_UDP_IDLE = 90.0
_UDP_CLIENTS = 1024
_TCP_SESSIONS = 8192
_END_AFTER = 10.0
_LOOK = 5.0
_NOBODY = 65534
_HERE = {socket.AF_INET: (0, 8, 8), socket.AF_INET6: (41, 49, 50)}
"""Level, option and message that tell to which of the host's addresses a datagram came."""
_WAIT = (errno.EAGAIN, errno.EINTR)

Handler = Callable[[int], None]


class Loop:
    """One epoll set; a handler per descriptor."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        if fd in self._handlers:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def run_once(self, timeout: float) -> None:
        for fd, events in self._epoll.poll(timeout):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)


class Way:
    """One direction of a connection. What was read is sent before more is read. Once a whole chunk came at once, bytes go
    through a pipe in the kernel and are not copied here.
    """

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source, self._sink = source, sink
        self._pending = b""
        self._pipe: tuple[int, int] | None = None
        self._piped = 0
        self.ended = False  # the source sends no more, and the sink has been told

    @property
    def waits(self) -> bool:
        """For the sink to take what was read."""
        return bool(self._piped or self._pending)

    def pump(self) -> None:
        """OSError when one of the ends is broken. A message that fits a chunk costs one read and one write: whether there
        is more is epoll's to say.
        """
        try:
            if self._pipe is None:
                if self._pending:
                    self._pending = self._pending[self._sink.send(self._pending) :]
                elif not self.ended:
                    self._copy()
            else:
                self._move()
        except BlockingIOError:
            pass

    def _copy(self) -> None:
        size = self._source.recv_into(_buffer)
        if not size:
            return self._end()
        data = _view[:size]
        sent = 0
        try:
            sent = self._sink.send(data)
        finally:
            if sent < size:
                self._pending = bytes(data[sent:])
        if size == _CHUNK:
            self._lay_pipe()

    def _move(self) -> None:
        assert self._pipe is not None
        for _ in range(8):  # then others get their turn
            if self._pending:
                self._pending = self._pending[self._sink.send(self._pending) :]
            elif self._piped:
                self._piped -= os.splice(self._pipe[0], self._sink.fileno(), self._piped, flags=_NOW)
            elif self.ended:
                return
            else:
                self._piped = os.splice(self._source.fileno(), self._pipe[1], _PIPE, flags=_NOW)
                if not self._piped:
                    return self._end()

    def _end(self) -> None:
        self.ended = True
        self._sink.shutdown(socket.SHUT_WR)

    def _lay_pipe(self) -> None:
        """None to be had: bytes are copied, as before."""
        try:
            self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, _PIPE)
        except OSError:
            pass

    def close(self) -> None:
        for fd in self._pipe or ():
            os.close(fd)


_buffer = bytearray(_CHUNK)
_view = memoryview(_buffer)
"""What is read stays here for no longer than until it is sent or kept: there is one thread."""


class Stream:
    """One TCP connection and its twin. Half-close is passed on; the twin's refusal is a reset."""

    def __init__(self, relay: "Relay", client: socket.socket, target: tuple[str, int]) -> None:
        self._relay = relay
        self._ends = (client, socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        self._ways = (Way(*self._ends), Way(*reversed(self._ends)))
        self._watched = [0, 0]  # what epoll knows of each end
        client.setblocking(False)
        for end in self._ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        relay.streams.add(self)
        try:
            self._ends[1].connect(target)
        except BlockingIOError:
            pass
        except OSError:
            return self._close(reset=True)
        relay.loop.watch(self._ends[1].fileno(), EPOLLOUT, self._finish_connect)

    def _finish_connect(self, _events: int) -> None:
        target = self._ends[1]
        if target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return self._close(reset=True)
        self._relay.loop.forget(target.fileno())
        self._arm()

    def _arm(self) -> None:
        """Tell epoll what is waited for, where that has changed. An end of which nothing is wanted is not watched at all:
        epoll would tell of its hanging up without a pause.
        """
        there, back = self._ways
        for index, way, other in ((0, there, back), (1, back, there)):
            events = (0 if way.ended or way.waits else EPOLLIN) | (EPOLLOUT if other.waits else 0)
            if events == self._watched[index]:
                continue
            self._watched[index] = events
            fd = self._ends[index].fileno()
            if events:
                self._relay.loop.watch(fd, events, self._target_ready if index else self._client_ready)
            else:
                self._relay.loop.forget(fd)

    def _client_ready(self, events: int) -> None:
        self._ready(events, *self._ways)

    def _target_ready(self, events: int) -> None:
        back, there = self._ways
        self._ready(events, there, back)

    def _ready(self, events: int, outward: Way, inward: Way) -> None:
        """Something has happened at the end that `outward` reads from and `inward` writes to."""
        try:
            if events != EPOLLOUT:
                outward.pump()
            if events != EPOLLIN:
                inward.pump()
        except OSError:
            return self._close(reset=True)
        if outward.ended and inward.ended and not outward.waits and not inward.waits:
            return self._close(reset=False)
        self._arm()

    def _close(self, *, reset: bool) -> None:
        self._relay.streams.discard(self)
        for way in self._ways:
            way.close()
        for end in self._ends:
            self._relay.loop.forget(end.fileno())
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        self._relay.accept_again()


class TcpListener:
    def __init__(self, relay: "Relay", listener: socket.socket, target: tuple[str, int]) -> None:
        self.target = target
        self._relay = relay
        self._listener = listener
        listener.setblocking(False)
        self.resume()

    def resume(self) -> None:
        self._relay.loop.watch(self._listener.fileno(), EPOLLIN, self._accept)

    def _accept(self, _events: int) -> None:
        if len(self._relay.streams) >= _TCP_SESSIONS:
            return self._pause()
        try:
            client, _ = self._listener.accept()
            Stream(self._relay, client, self.target)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._pause()

    def _pause(self) -> None:
        """New ones wait in the kernel's queue until a session ends."""
        self._relay.loop.forget(self._listener.fileno())
        self._relay.paused.add(self)

    def close(self) -> None:
        self._relay.paused.discard(self)
        self._relay.loop.forget(self._listener.fileno())
        self._listener.close()


class UdpListener:
    """One socket outside; inside one per client, forgotten after a time without datagrams."""

    def __init__(self, relay: "Relay", listener: socket.socket, target: tuple[str, int]) -> None:
        self.target = target
        self._relay = relay
        self._listener = listener
        self._clients: dict[tuple[str, int], tuple[socket.socket, bytes]] = {}
        self._last: dict[tuple[str, int], float] = {}
        listener.setblocking(False)
        self._level, option, self._message = _HERE[listener.family]
        listener.setsockopt(self._level, option, 1)
        relay.loop.watch(listener.fileno(), EPOLLIN, self._from_client)

    def _from_client(self, _events: int) -> None:
        for _ in range(32):
            try:
                data, ancillary, _, address = self._listener.recvmsg(_CHUNK, socket.CMSG_SPACE(20))
            except OSError:
                return
            key = (address[0], address[1])
            told = (self._level, self._message)
            here = next((value for level, kind, value in ancillary if (level, kind) == told), b"")
            known = self._clients.get(key)
            try:
                inside = known[0] if known is not None else self._open(key, address)
                self._clients[key] = (inside, here)
                inside.send(data)
            except OSError:
                continue  # as a network would: the datagram is lost

    def _open(self, key: tuple[str, int], address: tuple[str, int]) -> socket.socket:
        if len(self._clients) >= _UDP_CLIENTS:
            self._drop(min(self._last, key=self._last.__getitem__))
        inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            inside.connect(self.target)
        except OSError:
            inside.close()
            raise
        self._last[key] = time.monotonic()
        self._relay.loop.watch(inside.fileno(), EPOLLIN, lambda _events: self._from_container(key, address))
        self._clients[key] = (inside, b"")
        return inside

    def _from_container(self, key: tuple[str, int], address: tuple[str, int]) -> None:
        inside, here = self._clients[key]
        self._last[key] = time.monotonic()
        for _ in range(32):
            try:
                data = inside.recv(_CHUNK)
            except OSError:
                return
            try:  # the answer comes from the address that the question went to
                self._listener.sendmsg([data], [(self._level, self._message, here)] if here else [], 0, address)
            except OSError:
                continue

    def expire(self, now: float) -> None:
        for key in [key for key, last in self._last.items() if now - last > _UDP_IDLE]:
            self._drop(key)

    def _drop(self, key: tuple[str, int]) -> None:
        self._last.pop(key, None)
        inside, _ = self._clients.pop(key)
        self._relay.loop.forget(inside.fileno())
        inside.close()

    def close(self) -> None:
        for key in list(self._clients):
            self._drop(key)
        self._relay.loop.forget(self._listener.fileno())
        self._listener.close()


class Relay:
    """The program: control connections, listeners, sessions."""

    def __init__(self, control: socket.socket, path: str) -> None:
        self._path = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.loop = Loop()
        self.streams: set[Stream] = set()
        self.paused: set[TcpListener] = set()
        self._listeners: dict[str, TcpListener | UdpListener] = {}
        self._control = control
        self._owner = os.getuid()
        self._looked = 0.0  # after whether to go on, at what time (monotonic)
        control.setblocking(False)
        self.loop.watch(control.fileno(), EPOLLIN, self._accept)

    def accept_again(self) -> None:
        for listener in list(self.paused):
            self.paused.discard(listener)
            listener.resume()

    def _accept(self, _events: int) -> None:
        try:
            peer, _ = self._control.accept()
        except OSError:
            return
        _, uid, _ = struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != self._owner:
            peer.close()
            return
        self.loop.watch(peer.fileno(), EPOLLIN, lambda _events: self._serve(peer))

    def _serve(self, peer: socket.socket) -> None:
        self._looked = 0.0
        try:
            data, fds, _, _ = socket.recv_fds(peer, _MESSAGE, 253, socket.MSG_DONTWAIT)
            if data:
                answer = self._obey(data.decode("ascii"), [socket.socket(fileno=fd) for fd in fds])
                if answer:
                    peer.send(answer.encode("ascii"))
                return
        except BlockingIOError:
            return
        except (OSError, ValueError, LookupError):
            pass  # a peer that talks nonsense is left
        self.loop.forget(peer.fileno())
        peer.close()

    def _obey(self, message: str, sockets: list[socket.socket]) -> str:
        word, _, rest = message.partition(" ")
        if word == "add":
            for line, listener in zip(rest.splitlines(), sockets, strict=True):
                protocol, key, address, port = line.split(" ")
                self._remove(key)
                kind = TcpListener if protocol == "tcp" else UdpListener
                self._listeners[key] = kind(self, listener, (address, int(port)))
            return ""
        if word == "remove":
            for key in rest.split(" "):
                self._remove(key)
            return "removed"
        return "\n".join(f"{key} {one.target[0]} {one.target[1]}" for key, one in self._listeners.items()) or "\n"

    def _remove(self, key: str) -> None:
        listener = self._listeners.pop(key, None)
        if listener is not None:
            listener.close()

    def run(self) -> None:
        idle_since = time.monotonic()
        while True:
            self.loop.run_once(_LOOK)
            now = time.monotonic()
            if now - self._looked < _LOOK:
                continue  # busy: nothing of the following is urgent
            self._looked = now
            for listener in self._listeners.values():
                if isinstance(listener, UdpListener):
                    listener.expire(now)
            if os.fstat(self._path).st_nlink == 0:
                return  # another relay has taken over, or the daemon's directories are gone
            if self._listeners or self.streams:
                idle_since = now
            elif now - idle_since > _END_AFTER:
                return


def main() -> None:
    control = socket.socket(fileno=0)
    relay = Relay(control, sys.argv[1])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if os.getuid() == 0:
        os.chdir("/")
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    relay.run()


if __name__ == "__main__":
    main()

"""The control socket: daemons connect, ask, and are told what happens.

It is a SOCK_SEQPACKET pathname socket in the task's 0700 directory, never an abstract one (CVE-2020-15257), and only
a peer of this process's own user is served. A daemon that does not read is dropped: it finds everything again in its
next `hello`.
"""

import os
import socket
import struct
from collections import deque
from collections.abc import Callable

from scow.errors import Internal, InvalidArgument, ScowError
from scow.monitor import wire
from scow.monitor.loop import GONE, IN, OUT, Loop

NAME = "control"
_MAX_WAITING = 1024
_UNIX = int(socket.AF_UNIX)
_PACKETS = int(socket.SOCK_SEQPACKET)
_SOCKET = int(socket.SOL_SOCKET)


class Answer:
    """The reply that a request waits for."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self._connection = connection
        self._number = number

    @property
    def expected(self) -> bool:
        """Whether who asked was still there when the request was read."""
        return not self._connection.gone

    def give(self, result: wire.Message) -> None:
        self._connection.send({"id": self._number, "result": result})

    def refuse(self, error: ScowError) -> None:
        self._connection.send({"id": self._number, "error": {"code": error.code, "message": error.message}})


Dispatch = Callable[[wire.Message, list[int], Answer], wire.Message | None]


class Control:
    """Serves connections.

    `dispatch(message, fds, answer)` owns the fds. It returns the result, or raises ScowError, or returns None and uses
    `answer` later. `acknowledged(number)` is called when a daemon has acted on the event of that number.
    """

    def __init__(self, loop: Loop, dispatch: Dispatch, acknowledged: Callable[[int], None]) -> None:
        self._loop = loop
        self._dispatch = dispatch
        self._acknowledged = acknowledged
        self._listener: socket.SocketType | None = None
        self._directory = -1
        self._connections: list[Connection] = []

    def listen(self, directory: int) -> None:
        """Make the socket in the directory (an fd, which stays the caller's)."""
        listener = socket.SocketType(_UNIX, _PACKETS)
        try:
            listener.setblocking(False)
            listener.bind(f"/proc/self/fd/{directory}/{NAME}")  # a path of any length fits this way
            listener.listen(16)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._directory = directory
        self._loop.watch(listener.fileno(), IN, self._accept)

    def adopt(self, peer: wire.Peer) -> "Connection":
        """Serve a connection that was inherited."""
        connection = Connection(self._loop, peer, self._serve, self._lost)
        self._connections.append(connection)
        return connection

    def tell(self, event: wire.Message) -> None:
        """Send an event to every daemon that is connected."""
        for connection in tuple(self._connections):
            connection.send(event)

    @property
    def connected(self) -> bool:
        """Whether a daemon is there."""
        return bool(self._connections)

    @property
    def busy(self) -> bool:
        """Whether something is still to be sent."""
        return any(connection.waiting for connection in self._connections)

    def close(self) -> None:
        """End every connection and remove the socket."""
        for connection in tuple(self._connections):
            connection.close()
        self.stop_listening()

    def stop_listening(self) -> None:
        """Remove the socket; connections stay."""
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            try:
                os.unlink(NAME, dir_fd=self._directory)
            except OSError:
                pass  # the directory has been removed already

    def _accept(self, _: int) -> None:
        assert self._listener is not None
        try:
            with socket.socket(fileno=os.dup(self._listener.fileno())) as listener:
                peer, _address = listener.accept()
        except OSError:
            return
        if peer_uid(peer) != os.geteuid():
            peer.close()
            return
        self.adopt(peer)

    def _serve(self, connection: "Connection", message: wire.Message, fds: list[int]) -> None:
        number = message.get("id")
        if type(number) is not int:
            wire.close_all(fds)
            if type(message.get("ack")) is int:
                self._acknowledged(message["ack"])
            return
        answer = Answer(connection, number)
        try:
            result = self._dispatch(message, fds, answer)
            if result is not None:
                answer.give(result)
        except ScowError as error:
            answer.refuse(error)
        except OSError as error:
            answer.refuse(Internal(f"{message.get('op')}: {error.strerror or error}"))
        except Exception as error:  # noqa: BLE001  whatever a peer sends must not end the monitor
            answer.refuse(Internal(f"{message.get('op')}: {type(error).__name__}: {error}"))

    def _lost(self, connection: "Connection") -> None:
        if connection in self._connections:
            self._connections.remove(connection)


class Connection:
    """One daemon's connection."""

    def __init__(
        self,
        loop: Loop,
        peer: wire.Peer,
        serve: "Callable[[Connection, wire.Message, list[int]], None]",
        lost: "Callable[[Connection], None]",
    ) -> None:
        self._loop = loop
        self._peer = peer
        self._serve = serve
        self._lost = lost
        self._queue: deque[wire.Message] = deque()
        self.gone = False
        peer.setblocking(False)
        loop.watch(peer.fileno(), IN, self._ready)

    @property
    def waiting(self) -> bool:
        return bool(self._queue)

    def send(self, message: wire.Message) -> None:
        """Send now or as soon as the daemon reads."""
        self._queue.append(message)
        if len(self._queue) == 1:
            self._flush()
        elif len(self._queue) > _MAX_WAITING:
            self.close()

    def close(self) -> None:
        if self._peer.fileno() >= 0:
            self._loop.forget(self._peer.fileno())
            self._peer.close()
            self._queue.clear()
            self._lost(self)

    def _flush(self) -> None:
        try:
            while self._queue:
                wire.send(self._peer, self._queue[0])
                self._queue.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self._loop.watch(self._peer.fileno(), IN | OUT if self._queue else IN, self._ready)

    def _ready(self, events: int) -> None:
        if events & OUT:
            self._flush()
        self.gone = bool(events & GONE)
        if self._peer.fileno() < 0 or not events & (IN | GONE):
            return
        try:
            message, fds = wire.receive(self._peer)
        except BlockingIOError:
            return
        except (wire.Closed, OSError):
            self.close()
            return
        except InvalidArgument:
            return  # the packet is gone, the next one may be good
        self._serve(self, message, fds)


def peer_uid(peer: wire.Peer) -> int:
    """The user at the other end of a unix socket."""
    credentials = peer.getsockopt(_SOCKET, socket.SO_PEERCRED, 12)
    uid: int = struct.unpack("3i", credentials)[1]
    return uid


def peer_pid(peer: wire.Peer) -> int:
    """The process that listened at the other end of a unix socket."""
    credentials = peer.getsockopt(_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("3i", credentials)[0]
    return pid

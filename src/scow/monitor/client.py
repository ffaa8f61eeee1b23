"""One attached client: a stream socket that a daemon handed over.

Output that the client does not take at once is kept, up to a bound; beyond it the client is `congested` and its owner
stops reading the container's output (a slow reader loses nothing). A client that takes not one byte for STALL seconds
is given up, so that a dead one cannot hold a container.

The socket's description may be shared with the daemon: its flags are never changed, every call is MSG_DONTWAIT.
"""

import socket
import struct
import time
from typing import Protocol

from scow.monitor.detach import DetachKeys
from scow.monitor.loop import GONE, IN, OUT, Loop

HIGH = 1 << 20
LOW = 256 << 10
STALL = 30.0
_BLOCK = 64 << 10
_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_BOTH = int(socket.SHUT_RDWR)
_HEADERS = {stream: bytes([stream, 0, 0, 0]) for stream in (1, 2)}


class Owner(Protocol):
    """The stdio that a client is attached to."""

    @property
    def wants_input(self) -> bool:
        """Whether `feed` may be called with more."""

    @property
    def keeps_clients(self) -> bool:
        """Whether a client stays attached after the end of its input."""

    def feed(self, data: bytes) -> None:
        """Input from a client."""

    def input_ended(self) -> None:
        """A client with stdin has closed its sending side or has gone."""

    def client_changed(self) -> None:
        """A client has become congested or has ceased to be."""

    def client_closed(self, client: "Client") -> None:
        """A client has gone or has left by its detach keys."""


class Client:
    """Lifecycle: made with a connected socket, `start`, any number of `send`, then `end` or `close`."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.SocketType,
        owner: Owner,
        *,
        stdin: bool,
        streams: frozenset[int],
        framed: bool,
        keys: bytes = b"",
    ) -> None:
        self._loop = loop
        self._socket = connection
        self._fd = connection.fileno()
        self._owner = owner
        self._reads = stdin
        self._streams = streams
        self._framed = framed
        self._keys = DetachKeys(keys)
        self._pending = bytearray()
        self._progress = 0.0
        self._watching_stall = False
        self._ending = False
        self.congested = False
        self.closed = False

    def start(self, early: bytes) -> None:
        """Begin; `early` is input that was read from the socket before."""
        if early and self._reads:
            self._input(early)
        self.refresh()

    def refresh(self) -> None:
        """Watch what matters now. The owner calls it when `wants_input` has changed."""
        if self.closed:
            return
        events = OUT if self._pending else 0
        if self._reads and self._owner.wants_input:
            events |= IN
        self._loop.watch(self._fd, events, self._ready)

    def send(self, stream: int, data: bytes) -> None:
        """Output of the container; nothing when the client did not ask for that stream."""
        if self.closed or stream not in self._streams:
            return
        parts = (_HEADERS[stream] + struct.pack(">I", len(data)), data) if self._framed else (data,)
        total = sum(len(part) for part in parts)
        sent = 0
        if not self._pending:
            try:
                sent = self._socket.sendmsg(parts, [], _FLAGS)
            except BlockingIOError:
                pass
            except OSError:
                self.close()
                return
            if sent == total:
                return
            self._progress = time.monotonic()
        self._pending += memoryview(b"".join(parts))[sent:]
        self._stalled_later()
        self.refresh()
        self._judge()

    def end(self) -> None:
        """No more output comes: close once everything is delivered (or the client is given up)."""
        self._ending = True
        self._reads = False
        if not self._pending:
            self.close()
        else:
            self.refresh()

    def close(self) -> None:
        """Give the connection up; the client sees the end of the stream."""
        if self.closed:
            return
        self.closed = True
        self._loop.forget(self._fd)
        try:
            # The daemon may hold a copy, so closing alone would not end the stream. Unread input must not turn
            # into a reset that overtakes the output.
            self._socket.shutdown(_BOTH)
            for _ in range(16):
                if not self._socket.recv(_BLOCK, _FLAGS):
                    break
        except OSError:
            pass
        self._socket.close()
        self._pending.clear()
        self._owner.client_closed(self)

    def release(self) -> None:
        """Let go of the connection without ending it: another holder goes on with it."""
        if not self.closed:
            self.closed = True
            self._loop.forget(self._fd)
            self._socket.close()
            self._owner.client_closed(self)

    def _ready(self, events: int) -> None:
        if events & OUT:
            self._flush()
        if self.closed:
            return
        if events & IN and self._reads and self._owner.wants_input:
            self._receive()
        elif events & GONE:
            if self._reads and not self._owner.wants_input:
                self._loop.forget(self._fd)  # its last input is still to be read: see refresh
            else:
                self._gone()

    def _gone(self) -> None:
        if self._reads:
            self._reads = False
            self._owner.input_ended()
        self.close()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_BLOCK, _FLAGS)
        except BlockingIOError:
            return
        except OSError:
            self._gone()
            return
        if data:
            self._input(data)
            return
        self._reads = False
        held = self._keys.flush()
        if held:
            self._owner.feed(held)
        self._owner.input_ended()
        if self._owner.keeps_clients:
            self.refresh()
        else:
            self.end()

    def _input(self, data: bytes) -> None:
        data, left = self._keys.feed(data)
        if data:
            self._owner.feed(data)
        if left:
            self._reads = False
            self.close()

    def _flush(self) -> None:
        if not self._pending:
            return
        try:
            with memoryview(self._pending) as view:
                sent = self._socket.send(view, _FLAGS)
        except BlockingIOError:
            return
        except OSError:
            self._gone()
            return
        del self._pending[:sent]
        self._progress = time.monotonic()
        if not self._pending:
            if self._ending:
                self.close()
                return
            self.refresh()
        self._judge()

    def _judge(self) -> None:
        congested = len(self._pending) >= (LOW if self.congested else HIGH)
        if congested != self.congested:
            self.congested = congested
            self._owner.client_changed()

    def _stalled_later(self) -> None:
        if not self._watching_stall:
            self._watching_stall = True
            self._loop.call_later(STALL, self._check_stall)

    def _check_stall(self) -> None:
        self._watching_stall = False
        if self.closed or not self._pending:
            return
        idle = time.monotonic() - self._progress
        if idle >= STALL and (self.congested or self._ending):
            self._gone()
            return
        self._watching_stall = True
        self._loop.call_later(max(STALL - idle, 1.0), self._check_stall)

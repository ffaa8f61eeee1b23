"""Relays a hijacked connection to and from our standard streams: attach, run, exec, start -a."""

from __future__ import annotations

import _signal
import posix

from scow.cli.output import write_all
from scow.cli.terminal import is_terminal
from scow.client.frames import Demultiplexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.client.api import Connection

_BLOCK = 64 * 1024
DEFAULT_DETACH_KEYS = b"\x10\x11"  # ctrl-p, ctrl-q


class DetachKeys:
    """Finds the detach sequence in typed input. Pure: bytes in, bytes to pass on out."""

    __slots__ = ("_held", "_keys", "seen")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0
        self.seen = False

    def feed(self, data: bytes) -> bytes:
        """What to pass on; `seen` is set when the sequence is complete, and the rest of the input is dropped."""
        if self.seen:
            return b""
        if not self._keys or (not self._held and self._keys[0] not in data):
            return data
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self.seen = True
                    break
                continue
            out += self._keys[: self._held]
            self._held = 1 if byte == self._keys[0] else 0
            if not self._held:
                out.append(byte)
            elif len(self._keys) == 1:
                self.seen = True
                break
        return bytes(out)


def parse_detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as bytes; nothing gives the default. Raises ValueError."""
    if not text:
        return DEFAULT_DETACH_KEYS
    out = bytearray()
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            out += key.encode()
        elif key.lower() == "del":
            out.append(127)
        elif key.startswith("ctrl-") and len(key) == 6:
            letter = key[5]
            code = ord(letter) - 96 if "a" <= letter <= "z" else "@abcdefghijklmnopqrstuvwxyz[\\]^_".find(letter)
            if code < 0:
                raise ValueError(f"Unknown character: '{key}'")
            out.append(code)
        else:
            raise ValueError(f"Unknown character: '{key}'")
    return bytes(out)


def _leave(number: int, _: object) -> None:
    """Ends the program through its `finally` clauses, so that the terminal is not left raw."""
    raise SystemExit(128 + number)


class Relay:
    """One attached connection.

    `run` returns when the daemon ends the stream, or True at once when the user typed the detach keys. With a terminal
    for stdin and `tty`, the terminal is raw meanwhile.
    """

    def __init__(self, connection: Connection, tty: bool, stdin: bool, keys: bytes = DEFAULT_DETACH_KEYS) -> None:
        self._connection = connection
        self._tty = tty
        self._stdin = stdin
        self._keys = DetachKeys(keys if tty else b"")
        self._frames = Demultiplexer()
        self._pending = b""

    def run(self) -> bool:
        """Relays until the end; True when the user detached."""
        if not self._stdin:
            self._half_close()
            return self._only_output()
        if not (self._tty and is_terminal(0)):
            return self._both()
        from scow.cli.terminal import raw

        restore = raw(0)
        for number in (_signal.SIGTERM, _signal.SIGHUP):
            _signal.signal(number, _leave)
        try:
            return self._both()
        finally:
            restore()

    def _only_output(self) -> bool:
        connection = self._connection
        while True:
            try:
                data = connection.receive(_BLOCK)
            except ConnectionError:
                return False
            if not data:
                return False
            self._show(data)

    def _show(self, data: bytes) -> None:
        if self._tty:
            write_all(1, data)
            return
        for fd, piece in self._frames.feed(data):
            write_all(fd, piece)

    def _half_close(self) -> None:
        """Tells the daemon that no more input comes."""
        try:
            self._connection.sock.shutdown(1)
        except OSError:
            pass  # the daemon has gone already; its output or its end tells

    def _both(self) -> bool:
        import select

        connection = self._connection
        sock: Any = connection.sock
        poll = select.poll()
        if connection.early:
            self._show(connection.receive(len(connection.early)))
        input_open = True
        closing = False
        while True:
            wanted = select.POLLIN | (select.POLLOUT if self._pending else 0)
            poll.register(sock, wanted)
            if input_open and not self._pending:
                poll.register(0, select.POLLIN)
            ready = dict(poll.poll())
            if input_open and not self._pending:
                poll.unregister(0)
            if self._pending and ready.get(sock.fileno(), 0) & (select.POLLOUT | select.POLLERR | select.POLLHUP):
                input_open = self._flush(sock) and input_open
            if ready.get(sock.fileno(), 0) & ~select.POLLOUT:
                try:
                    data = sock.recv(_BLOCK)
                except ConnectionError:
                    return False
                if not data:
                    return False
                self._show(data)
            if 0 in ready:
                input_open = self._read_input()
                closing = not input_open
                if self._keys.seen:
                    return True
                if self._pending:
                    input_open = self._flush(sock) and input_open
            if closing and not self._pending:
                closing = False
                self._half_close()

    def _read_input(self) -> bool:
        """Takes one piece of input; False at its end."""
        try:
            data = posix.read(0, _BLOCK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self._pending = self._keys.feed(data)
        return bool(data)

    def _flush(self, sock: Any) -> bool:
        """Sends what can be sent without blocking; False when the daemon takes no more input."""
        import _socket

        try:
            plain = type(sock) is _socket.socket
            sent = (
                sock.send(self._pending, _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT)
                if plain
                else sock.send(self._pending)
            )
        except BlockingIOError:
            return True
        except OSError:
            self._pending = b""
            return False
        self._pending = self._pending[sent:]
        return True

"""Stdio and its clients in one loop, without any process: the test plays both the process and the clients."""

import gc
import os
import socket
import termios
import weakref
from collections.abc import Iterator

import pytest

from scow.logs.drivers import STDERR, STDOUT
from scow.monitor import client as client_module
from scow.monitor.client import HIGH, Client
from scow.monitor.loop import Loop
from scow.monitor.stdio import Stdio
from tests.harness import descriptors


class Log:
    def __init__(self) -> None:
        self.written: list[tuple[int, bytes]] = []
        self.closed = False

    def write(self, stream: int, data: bytes, now: int) -> None:
        self.written.append((stream, data))

    def close(self, now: int) -> None:
        self.closed = True

    def text(self, stream: int = STDOUT) -> bytes:
        return b"".join(data for number, data in self.written if number == stream)


class Play:
    """A Stdio whose process is the test: `fds` are the process's 0, 1, 2."""

    def __init__(self, *, stdin: bool = True, closes: bool = False, terminal: bool = False) -> None:
        self.loop, self.log = Loop(), Log()
        self.stdio = Stdio(self.loop, self.log, terminal=terminal, stdin=stdin, closes_stdin=closes)
        given = self.stdio.child_fds()
        self.fds: list[int] = []
        if given is not None:
            self.fds = [os.dup(fd) for fd in given]
            self.stdio.started(None)
        else:
            master, slave = os.openpty()
            settings = termios.tcgetattr(slave)
            settings[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(slave, termios.TCSANOW, settings)
            self.fds = [slave]
            self.stdio.started(master)
        for fd in self.fds:
            os.set_blocking(fd, False)
        self.sockets: list[socket.socket] = []

    def client(self, early: bytes = b"", **how: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        made = Client(
            self.loop,
            theirs,
            self.stdio,
            stdin=bool(how.get("stdin", False)),
            streams=frozenset(how.get("streams", {STDOUT, STDERR})),  # type: ignore[call-overload]
            framed=bool(how.get("framed", False)),
            keys=how.get("keys", b""),  # type: ignore[arg-type]
        )
        self.stdio.attach(made)
        made.start(early)
        self.sockets.append(ours)
        return ours

    def turn(self, times: int = 4) -> None:
        for _ in range(times):
            self.loop.call_later(0, lambda: None)
            self.loop.turn()

    def says(self, data: bytes, stream: int = STDOUT) -> None:
        os.write(self.fds[stream if len(self.fds) > 1 else 0], data)
        self.turn()

    def hears(self) -> bytes | None:
        """What the process reads; None when its stdin has ended."""
        self.turn()
        try:
            return os.read(self.fds[0], 1 << 20) or None
        except BlockingIOError:
            return b""

    def ends(self) -> bool:
        """The process ends; whether its output has ended too."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()
        ended: list[bool] = []
        self.stdio.process_ended(lambda: ended.append(True))
        self.turn()
        return bool(ended)

    def close(self) -> None:
        self.stdio.finish(0)
        for fd in self.fds:
            os.close(fd)
        for each in self.sockets:
            each.close()
        self.loop.close()


@pytest.fixture
def plays() -> Iterator[list[Play]]:
    made: list[Play] = []
    before = descriptors.opened()
    yield made
    for play in made:
        play.close()
    descriptors.assert_no_new(before)


def play(plays: list[Play], **how: bool) -> Play:
    plays.append(Play(**how))
    return plays[-1]


def received(client: socket.socket) -> bytes:
    data = b""
    while True:
        try:
            more = client.recv(1 << 20)
        except BlockingIOError:
            return data
        if not more:
            return data + b"<end>"
        data += more


def test_output_goes_to_log_and_clients(plays: list[Play]) -> None:
    it = play(plays)
    framed, err = it.client(framed=True), it.client(streams={STDERR})
    it.says(b"out\n")
    late = it.client()
    it.says(b"err\n", STDERR)
    assert received(framed) == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"
    assert received(err) == received(late) == b"err\n"
    assert it.log.written == [(STDOUT, b"out\n"), (STDERR, b"err\n")]
    os.write(it.fds[1], b"last words")
    assert it.ends()
    it.stdio.finish(0)
    assert received(framed).endswith(b"last words<end>") and it.log.closed
    assert it.log.text() == b"out\nlast words"


def test_input_of_several_clients_and_a_half_close(plays: list[Play]) -> None:
    it = play(plays)
    first, second, deaf = it.client(b"early ", stdin=True), it.client(stdin=True), it.client()
    first.send(b"one ")
    assert it.hears() == b"early one "
    first.shutdown(socket.SHUT_WR)
    deaf.send(b"not input")
    second.send(b"two")
    assert it.hears() == b"two"
    assert received(first) == b"<end>"  # as in Docker: its input was not the process's last
    second.close()
    assert it.hears() == b""  # it stays open
    it.says(b"still\n")
    assert received(deaf) == b"still\n"


@pytest.mark.parametrize("gone", [False, True])
def test_input_that_ends_once(plays: list[Play], gone: bool) -> None:
    it = play(plays, closes=True)
    client = it.client(stdin=True)
    client.send(b"last")
    if gone:
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)
    assert it.hears() == b"last"
    assert it.hears() is None


def test_a_process_that_closes_its_stdin_is_no_trouble(plays: list[Play]) -> None:
    it = play(plays)
    client = it.client(stdin=True)
    os.close(it.fds[0])
    it.fds[0] = os.open("/dev/null", os.O_RDONLY)
    for _ in range(3):
        client.send(b"x" * 1000)
        it.turn()
    it.says(b"fine\n")
    assert received(client) == b"fine\n"


def test_more_input_than_the_process_takes_waits(plays: list[Play]) -> None:
    it = play(plays, closes=True)
    client = it.client(stdin=True)
    total = sent = 0
    block = b"x" * (1 << 16)
    for _ in range(40):
        try:
            sent += client.send(block)
        except BlockingIOError:
            pass
        it.turn()
    assert sent < 1 << 21  # it does not pile up here
    client.close()  # what it sent is delivered all the same
    while (data := it.hears()) is not None:
        total += len(data)
    assert total == sent


def test_a_slow_client_holds_the_output_and_loses_nothing(plays: list[Play]) -> None:
    it = play(plays)
    slow, quick = it.client(), it.client()
    written = 0
    got = b""
    for _ in range(400):
        try:
            written += os.write(it.fds[1], b"x" * 65536)
        except BlockingIOError:
            pass
        it.turn(2)
        got += received(quick)
    assert HIGH <= written < HIGH + (3 << 20)  # bounded: the process is held
    data = received(slow)
    for _ in range(600):
        it.turn(2)
        data += received(slow)
        got += received(quick)
    assert len(data) == len(got) == written == len(it.log.text())


def test_a_dead_client_is_given_up(plays: list[Play], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(client_module.time, "monotonic", lambda: clock[0])
    it = play(plays)
    it.client()
    written = 0
    for _ in range(200):
        try:
            written += os.write(it.fds[1], b"x" * 65536)
        except BlockingIOError:
            pass
        it.turn(2)
    held = len(it.log.text())
    assert held < written
    clock[0] += client_module.STALL + 1
    for _ in range(100):
        it.turn(2)
    assert len(it.log.text()) == written


def test_a_client_that_goes_frees_the_output(plays: list[Play]) -> None:
    it = play(plays)
    client = it.client()
    written = 0
    for _ in range(200):
        try:
            written += os.write(it.fds[1], b"x" * 65536)
        except BlockingIOError:
            pass
        it.turn(2)
    client.close()
    for _ in range(100):
        it.turn(2)
    assert len(it.log.text()) == written


def test_a_client_gets_everything_after_the_end(plays: list[Play]) -> None:
    it = play(plays)
    slow = it.client()
    os.set_blocking(it.fds[1], False)
    written = 0
    for _ in range(12):
        written += os.write(it.fds[1], b"x" * 65536)
        it.turn(2)
    assert it.ends()
    it.stdio.finish(0)
    data = received(slow)
    assert not data.endswith(b"<end>")
    while not data.endswith(b"<end>"):
        it.turn(1)
        data += received(slow)
    assert len(data) == written + len(b"<end>")


def test_unread_input_does_not_reset_the_output(plays: list[Play]) -> None:
    """Closing a unix or TCP socket with unread bytes makes the peer's read fail before it has seen everything."""
    it = play(plays, stdin=False)
    client = it.client()
    client.send(b"nobody reads this")
    it.says(b"output\n")
    assert it.ends()
    it.stdio.finish(0)
    assert received(client) == b"output\n<end>"


def test_terminal(plays: list[Play]) -> None:
    it = play(plays, terminal=True)
    client = it.client(b"early", stdin=True, keys=b"\x10\x11")
    assert it.hears() == b""  # its echo would come before the program's first line
    it.says(b"$ ")
    assert it.hears() == b"early"
    assert received(client) == b"$ "
    it.stdio.resize(33, 99)
    assert os.get_terminal_size(it.fds[0]) == (99, 33)
    client.send(b"typed\x10")
    assert it.hears() == b"typed"
    client.send(b"\x11dropped")
    assert it.hears() == b""
    assert received(client) == b"<end>"
    it.says(b"alone\n")
    other = it.client()
    it.says(b"more")
    assert received(other) == b"more"
    assert b"".join(data for _, data in it.log.written).replace(b"\r\n", b"\n") == b"$ alone\nmore"
    assert it.ends()


def test_what_is_typed_before_the_start_is_not_lost() -> None:
    loop, (master, slave) = Loop(), os.openpty()
    stdio = Stdio(loop, None, terminal=True, stdin=True, closes_stdin=False)
    stdio.feed(b"typed ahead\n")
    stdio.started(master)
    os.write(slave, b"$ ")
    loop.turn()
    assert os.read(slave, 100) == b"typed ahead\n"
    stdio.finish(0)
    os.close(slave)
    loop.close()


def test_a_terminal_that_is_closed_for_a_while_is_read_again(plays: list[Play]) -> None:
    it = play(plays, terminal=True)
    path = os.ttyname(it.fds[0])
    it.says(b"first")
    os.close(it.fds.pop())
    it.turn()
    it.fds.append(os.open(path, os.O_RDWR | os.O_NOCTTY))
    os.write(it.fds[0], b"again")
    for _ in range(100):
        it.loop.turn()
        if b"again" in it.log.text():
            break
    assert it.log.text() == b"firstagain"


def test_resize_without_a_terminal(plays: list[Play]) -> None:
    with pytest.raises(OSError, match="not a terminal"):
        play(plays).stdio.resize(1, 1)


def test_left_overs_of_an_exec_can_go_on_writing(plays: list[Play]) -> None:
    it = play(plays)
    client = it.client()
    other = os.dup(it.fds[1])
    assert not it.ends()
    it.stdio.end_clients()
    assert received(client) == b"<end>"
    for _ in range(100):
        os.write(other, b"x" * 4096)
        it.turn(1)
    os.close(other)
    it.turn()


@pytest.mark.parametrize("early", [False, True])
def test_what_has_ended_is_freed_at_once(plays: list[Play], early: bool) -> None:
    """A monitor runs for years, and a collector of cycles hardly ever: 10,000 health checks must not pile up in it."""
    made = play(plays)
    stdio = weakref.ref(made.stdio)

    def output_ends() -> None:
        for fd in made.fds:
            os.close(fd)
        made.fds.clear()
        made.turn()

    gc.disable()
    try:
        if early:
            output_ends()
        made.stdio.process_ended(made.stdio.end_clients)
        output_ends()
        made.stdio.finish(0)
        made.stdio = None  # type: ignore[assignment]
        assert stdio() is None
    finally:
        gc.enable()
        plays.remove(made)
        made.loop.close()

"""A network namespace that stands for a machine of its own: its packet filter is nobody else's, and one host is beside it."""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.harness.clients import Clients
from tests.harness.engine import Engine


@dataclass(frozen=True)
class Machine:
    """`inside`: its namespace; `outside`: that of the host on its wire, which sends to containers by this machine. `address`
    and `beside`: their ends of the wire.
    """

    inside: str
    outside: str
    number: int

    @property
    def address(self) -> str:
        return f"10.251.{self.number}.1"

    @property
    def beside(self) -> str:
        return f"10.251.{self.number}.2"

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        whole = ["nsenter", f"--net=/run/netns/{self.inside}", *command]
        done = subprocess.run(whole, capture_output=True, text=True)
        assert done.returncode == 0 or not check, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
        return done


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    number = 1 + secrets.randbelow(250)
    made = Machine(f"sctm{number}", f"sctx{number}", number)
    try:
        for name in (made.inside, made.outside):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", made.inside, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", made.outside)
        for name, end in ((made.inside, 1), (made.outside, 2)):
            _ip("-n", name, "addr", "add", f"10.251.{number}.{end}/24", "dev", "wire")
            _ip("-n", name, "addr", "add", f"fd00:251::{end}/64", "dev", "wire", "nodad")
            _ip("-n", name, "link", "set", "wire", "up")
        _ip("-n", made.inside, "route", "add", "default", "via", made.beside)
        _ip("-n", made.outside, "route", "add", "default", "via", made.address)
        _ip("-n", made.outside, "-6", "route", "add", "default", "via", "fd00:251::1")
        yield made
    finally:
        for name in (made.inside, made.outside):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def start_in(made: Machine, giver: Clients, new_engine: Callable[..., Engine]) -> Engine:
    """A daemon in the machine, with the busybox that `giver` has."""
    image = giver.api("GET", "/images/busybox/get").body
    engine = new_engine(netns=made.inside)
    engine.start(timeout=60)
    loaded = engine.api("POST", "/images/load", image, headers={"Content-Type": "application/x-tar"})
    assert loaded.status == 200, loaded.body
    return engine


# Connects to every address:port of its arguments again and again until its input ends; prints how often it tried and got in.
_KNOCK = """
import select, socket, sys, time
targets = [word.rsplit(":", 1) for word in sys.argv[1:]]
tried = entered = 0
knocks = []
while not select.select([sys.stdin], [], [], 0.001)[0] or knocks:
    if not select.select([sys.stdin], [], [], 0)[0]:
        for address, port in targets:
            knock = socket.socket()
            knock.setblocking(False)
            knock.connect_ex((address, int(port)))
            knocks.append((time.monotonic(), knock))
            tried += 1
    while knocks and time.monotonic() - knocks[0][0] > 0.1:
        knock = knocks.pop(0)[1]
        entered += bool(select.select([], [knock], [], 0)[1]) and not knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        knock.close()
print(tried, entered)
"""


@contextlib.contextmanager
def knocking(netns: str, *targets: str) -> Iterator[list[int]]:
    """Connects are tried from the namespace all the time; afterwards the list has (tries, successes)."""
    command = ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c", _KNOCK, *targets]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    counts: list[int] = []
    try:
        yield counts
    finally:
        counts += map(int, process.communicate()[0].split())

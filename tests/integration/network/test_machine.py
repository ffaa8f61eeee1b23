"""A daemon on a machine of its own: what it changes there and tells, and containers that are hosts on the machine's wire."""

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine
from tests.integration.network.machine import Machine, machine, start_in

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("needs_nftables")]

# This machine's programs in a busybox image.
PROGRAMS = ("-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro")
PYTHON = "/usr/bin/python3"
# Answers every question with one address.
DNS = r"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("", 53))
    while True:
        asked, who = server.recvfrom(512)
        question = asked[12 : asked.index(0, 12) + 5]
        head = asked[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
        server.sendto(head + question + bytes.fromhex("c00c 0001 0001 00000005 0004 c000024d"), who)
"""
SERVE = "mkdir /w; echo -n $0 > /w/index.html; exec httpd -f -p 80 -h /w"


@pytest.fixture
def made(daemon: Clients) -> Iterator[Machine]:
    if not isinstance(daemon, Engine):
        pytest.skip("looks behind the API of scow itself")
    with machine() as one:
        yield one


def _changes(engine: Engine) -> list[str]:
    found: list[str] = engine.api("GET", "/info").json().get("HostChanges", [])
    return found


def test_what_is_changed_on_the_host_is_told(made: Machine, daemon: Clients, new_engine: Callable[..., Engine]) -> None:
    """ip_forward is switched on and told, with what it was; bridge-nf settings are nobody's business."""
    bridged = "cat /proc/sys/net/bridge/bridge-nf-call-ip*tables 2>/dev/null; true"
    made.run("sysctl", "-w", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
    before = made.run("sh", "-c", bridged).stdout
    engine = start_in(made, daemon, new_engine)
    told = "net.ipv4.ip_forward=1 (was 0)"
    assert told in _changes(engine)
    assert made.run("sysctl", "-n", "net.ipv4.ip_forward").stdout == "1\n"
    assert not any("ipv6" in line for line in _changes(engine))
    engine.scow("network", "create", "--ipv6", "six", check=True)
    assert "net.ipv6.conf.all.forwarding=1 (was 0)" in _changes(engine)
    engine.restart()
    assert told in _changes(engine)
    assert made.run("sh", "-c", bridged).stdout == before
    engine.scow("network", "rm", "six", check=True)


def test_containers_on_a_macvlan_are_hosts_on_the_wire(
    made: Machine, daemon: Clients, new_engine: Callable[..., Engine]
) -> None:
    engine = start_in(made, daemon, new_engine)
    links = made.run("ip", "-br", "link").stdout
    wire = f"10.251.{made.number}"
    flags = ("-d", "macvlan", "-o", "parent=wire", "--subnet", f"{wire}.0/24", "--gateway", made.beside)
    engine.scow("network", "create", *flags, "lan", check=True)
    for name, end in (("one", 10), ("two", 11)):
        where = ("--network", "lan", "--ip", f"{wire}.{end}")
        engine.scow("run", "-d", "--name", name, *where, "busybox", "sh", "-c", SERVE, name, check=True)
    asks = {
        "each other": lambda: engine.scow("exec", "one", "wget", "-qO-", f"http://{wire}.11/").stdout == "two",
        "by name": lambda: engine.scow("exec", "two", "wget", "-qO-", "http://one/").stdout == "one",
        "outwards": lambda: engine.scow("exec", "one", "ping", "-c1", "-W1", made.beside).returncode == 0,
        "from outside": lambda: _from_outside(made, f"http://{wire}.11/") == "two",
    }
    for what, ask in asks.items():
        await_true(what, ask)
    engine.remove_all()
    engine.scow("network", "rm", "lan", check=True)
    await_true("nothing is left", lambda: _names(made.run("ip", "-br", "link").stdout) == _names(links))


def _from_outside(made: Machine, url: str) -> str:
    command = ["nsenter", f"--net=/run/netns/{made.outside}", "timeout", "2", "busybox", "wget", "-qO-", url]
    return subprocess.run(command, capture_output=True, text=True).stdout


def _names(listing: str) -> set[str]:
    """But for the veths that are kept ready."""
    return {line.split()[0] for line in listing.splitlines() if not line.startswith("veth")}


def test_a_container_serves_names_at_port_53_itself(
    made: Machine, daemon: Clients, new_engine: Callable[..., Engine]
) -> None:
    """A DNS server of the user's own, at every address of its container; others ask it by --dns, it asks names itself."""
    if not os.access(PYTHON, os.X_OK):
        pytest.skip(f"no {PYTHON}")
    engine = start_in(made, daemon, new_engine)
    engine.scow("network", "create", "home", check=True)
    server = ("--name", "dns", "--network", "home", *PROGRAMS, "busybox", PYTHON, "-I", "-S", "-c", DNS)
    engine.scow("run", "-d", *server, check=True)
    address = engine.inspect("dns")["NetworkSettings"]["Networks"]["home"]["IPAddress"]
    flags = ("--network", "home", "--dns", address)
    engine.scow("run", "-d", "--name", "guest", *flags, "busybox", "sleep", "600", check=True)

    def asks(container: str, name: str) -> str:
        return engine.scow("exec", container, "nslookup", "-type=a", name).stdout

    await_true("the own server is asked", lambda: "192.0.2.77" in asks("guest", "printer.example"))
    assert address in asks("guest", "dns")
    guest = engine.inspect("guest")["NetworkSettings"]["Networks"]["home"]["IPAddress"]
    assert guest in asks("dns", "guest")
    engine.remove_all()
    engine.scow("network", "rm", "home", check=True)

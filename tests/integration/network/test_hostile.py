"""A neighbour on the same bridge, and options that promise what is not there."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine

pytestmark = pytest.mark.root

PREFIX = "2001:db8:bad:bad:"
# One router advertisement with a prefix to all nodes, as from a router on the wire.
ADVERTISE = f"""
import socket, struct
router = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + socket.inet_pton(socket.AF_INET6, "{PREFIX}:")
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
    raw.sendto(router + prefix, ("ff02::1", 0))
"""


@pytest.fixture
def dual(clean: Clients) -> Iterator[Engine]:
    if not isinstance(clean, Engine):
        pytest.skip("looks behind the API of scow itself")
    clean.scow("network", "create", "--ipv6", "-o", "com.docker.network.bridge.name=sctevil", "evil", check=True)
    yield clean
    clean.remove_all()
    clean.scow("network", "rm", "evil")


def _inside(engine: Engine, name: str, *command: str) -> str:
    pid = str(engine.inspect(name)["State"]["Pid"])
    return subprocess.run(
        ["nsenter", "-t", pid, "-n", *command], capture_output=True, text=True, check=True, timeout=20
    ).stdout


def test_a_neighbour_cannot_play_router(dual: Engine) -> None:
    """CVE-2020-13401, CVE-2020-10749: neither containers nor the host's bridge believe router advertisements. One that is
    told to believe them does, so that the test can tell.
    """
    for name in ("rogue", "victim", "gullible"):
        dual.scow("run", "-d", "--name", name, "--network", "evil", "busybox", "sleep", "600", check=True)
    way_out = _inside(dual, "victim", "ip", "-6", "route", "show", "default")
    _inside(dual, "gullible", "sh", "-c", "echo 2 | tee /proc/sys/net/ipv6/conf/eth0/accept_ra")

    def believed() -> bool:
        _inside(dual, "rogue", sys.executable, "-I", "-c", ADVERTISE)
        return PREFIX in _inside(dual, "gullible", "ip", "-6", "addr")

    await_true("the advertisement arrives", believed)
    assert PREFIX not in _inside(dual, "victim", "ip", "-6", "addr")
    assert _inside(dual, "victim", "ip", "-6", "route", "show", "default") == way_out
    host = subprocess.run(["ip", "-6", "addr", "show", "dev", "sctevil"], capture_output=True, text=True, check=True)
    assert "fd" in host.stdout and PREFIX not in host.stdout


def test_what_promises_encryption_is_refused(clean: Clients) -> None:
    """CVE-2023-28840, CVE-2023-28841, CVE-2023-28842: there is no overlay, and an option that is not known is not ignored."""
    overlay = {"Name": "sct-secret", "Driver": "overlay", "Options": {"encrypted": "true"}}
    answer = clean.api("POST", "/networks/create", overlay)
    assert answer.status >= 400 and "swarm" in answer.message
    answer = clean.api("POST", "/networks/create", {**overlay, "Driver": "bridge"})
    assert answer.status >= 400 and "encrypted" in answer.message
    assert "sct-secret" not in clean.out("network", "ls")

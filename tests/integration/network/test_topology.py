"""The reachability matrix: as it is, and after everything that can happen to rules and to the daemon.

SCOW_TEST_HOST=unix:///PATH asks the same of another engine: dockerd 26 passes (but for IPv6 between networks, which it
does not part).
"""

import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine
from tests.integration.network.machine import knocking, machine, start_in
from tests.integration.network.topology import Topology

pytestmark = pytest.mark.root


@pytest.fixture
def alone(daemon: Clients, new_engine: Callable[..., Engine]) -> Iterator[Topology]:
    """The topology on a daemon in a machine of its own, whose packet filter is nobody else's."""
    if not isinstance(daemon, Engine):
        pytest.skip("looks behind the API of scow itself")
    with machine() as made:
        engine = start_in(made, daemon, new_engine)
        topology = Topology(engine, made.address, 8000, made.inside, made.outside)
        topology.build()
        yield topology
        topology.remove()
        engine.stop()


def in_machine(topology: Topology, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["nsenter", f"--net=/run/netns/{topology.netns}", *command], capture_output=True, text=True, check=True
    )


def test_everybody_reaches_who_is_on_their_networks_and_nobody_else(clean: Clients) -> None:
    """On the machine's own packet filter, beside whatever is there."""
    host = subprocess.run(["ip", "-4", "-o", "route", "get", "192.0.2.1"], capture_output=True, text=True).stdout
    if " src " not in host:
        pytest.skip("no way out: the host has no address to be reached at")
    base = 21000 + 300 * secrets.randbelow(20)
    topology = Topology(clean, host.split(" src ")[1].split()[0], base, isolates_ipv6=isinstance(clean, Engine))
    topology.build()
    try:
        assert topology.check() > 500
    finally:
        topology.remove()


def test_it_is_so_after_a_flush_a_kill_and_changes_under_load(alone: Topology) -> None:
    """CVE-2025-54388, CVE-2025-54410: what a reload takes away is back within a second, and was never open."""
    engine = alone.engine
    assert isinstance(engine, Engine)
    in_machine(alone, "nft", "flush", "ruleset")
    table = f"scow_{engine.bridge}"
    await_true(
        "the table is back", lambda: table in in_machine(alone, "nft", "list", "tables").stdout.split(), timeout=1
    )
    alone.check()

    engine.kill9()
    engine.start()
    alone.check()

    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            name = f"load{secrets.token_hex(3)}"
            engine.scow("network", "create", name)
            engine.scow("network", "connect", name, "f1")
            engine.scow("network", "disconnect", name, "f1")
            engine.scow("network", "rm", name, check=True)

    worker = threading.Thread(target=change)
    worker.start()
    try:
        alone.check()
    finally:
        stop.set()
        worker.join()
    alone.check()


def test_never_open_while_the_rules_are_flushed_a_hundred_times(alone: Topology) -> None:
    """CVE-2025-54388, CVE-2025-54410: a host on the wire knocks at unpublished ports and at a loopback one all the time."""
    if tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (6, 9):
        pytest.skip(
            "before Linux 6.9 no table outlives a flush: the ports are closed again within a second, not always"
        )
    with knocking(alone.outside, f"{alone.host}:{alone.port('p1')}") as open_port:
        time.sleep(0.3)
    assert open_port[1] > 0, "the test could not tell"
    place = alone.engine.inspect("p1")["NetworkSettings"]["Networks"]["plain"]["IPAddress"]
    with knocking(alone.outside, f"{place}:80", f"{place}:81", f"{alone.host}:{alone.port('p1') + 100}") as closed:
        for _ in range(100):
            in_machine(alone, "nft", "flush", "ruleset")
            time.sleep(0.02)
    tried, entered = closed
    assert tried > 500 and entered == 0
    with knocking(alone.outside, f"{alone.host}:{alone.port('p1')}") as open_port:
        time.sleep(1)
    assert open_port[1] > 0, "the port is not published again"

"""Connects, disconnects, networks that come and go leave nothing: SCOW_TEST_SOAK=1 for a thousand and five hundred of them."""

import os
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scow.network.sandbox import veth_prefix
from tests.harness import leaks, wipe
from tests.harness.clients import await_true
from tests.harness.engine import Engine

MOVES, NETWORKS = (1000, 500) if os.environ.get("SCOW_TEST_SOAK") else (60, 40)
MEMBERS = ("one", "two", "three", "four")

pytestmark = pytest.mark.usefixtures("needs_nftables")


def _left(engine: Engine) -> Counter[str]:
    """What the leak counter of containers does not look at: interfaces by name, and descriptors of the processes beside the
    daemon.
    """
    out = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout
    found = Counter(
        {"bridges": out.count('"ifname":"br-sct'), "veths": out.count(f'"ifname":"{veth_prefix(engine.bridge)}')}
    )
    for pid in wipe.processes(engine.slot):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"scow" in command:
                found["descriptors"] += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
    tables = subprocess.run(
        ["nft", "list", "table", "inet", f"scow_{engine.bridge}"], capture_output=True, text=True
    ).stdout
    found["lines of rules"] = tables.count("\n")
    return found


def _settle(engine: Engine, before: Counter[str]) -> None:
    slack = {"descriptors": 16}
    await_true(
        f"no more than {before} (now {_left(engine)})",
        lambda: all(n <= before[kind] + slack.get(kind, 0) for kind, n in _left(engine).items()),
        timeout=20,
    )


def _create(engine: Engine, name: str, **fields: object) -> None:
    options = {"com.docker.network.bridge.name": f"br-sct{name[-8:]}"}
    answer = engine.api("POST", "/networks/create", {"Name": name, "Options": options, **fields})
    assert answer.status == 201, answer.body


def _remove(engine: Engine, name: str) -> None:
    answer = engine.api("DELETE", f"/networks/{name}")
    assert answer.status == 204, answer.body


def _move(engine: Engine, member: str, times: int) -> None:
    for _ in range(times):
        for verb in ("connect", "disconnect"):
            answer = engine.api("POST", f"/networks/sctsoak/{verb}", {"Container": member})
            assert answer.status == 200, answer.body


def test_connects_and_disconnects_leave_nothing(fresh_daemon: Engine) -> None:
    """The network has addresses for a dozen: one that does not come back is missed soon."""
    _create(fresh_daemon, "sctsoak", IPAM={"Config": [{"Subnet": "10.252.7.0/28"}]})
    for name in MEMBERS:
        fresh_daemon.launch(name, Cmd=["sleep", "10000"])
        _move(fresh_daemon, name, 1)  # warm
    before, more = leaks.at_rest(fresh_daemon), _left(fresh_daemon)
    with ThreadPoolExecutor(len(MEMBERS)) as pool:
        list(pool.map(lambda name: _move(fresh_daemon, name, MOVES // len(MEMBERS)), MEMBERS))
    after = leaks.settle(fresh_daemon, before)
    _settle(fresh_daemon, more)
    print(f"{MOVES} moves: {dict(before)} -> {dict(after)}; {dict(more)} -> {dict(_left(fresh_daemon))}")
    for name in MEMBERS:
        assert set(fresh_daemon.inspect(name)["NetworkSettings"]["Networks"]) == {"bridge"}
    assert fresh_daemon.scow("exec", "one", "ls", "/sys/class/net").stdout.split() == ["eth0", "lo"]


def test_networks_that_come_and_go_leave_nothing(fresh_daemon: Engine) -> None:
    """Their ranges are cut from pools that have room for some thirty."""

    def come_and_go(number: int) -> None:
        name = f"sct{number:05}"
        _create(fresh_daemon, name, EnableIPv6=number % 4 == 0)
        if number % 10 == 0:
            identity = fresh_daemon.launch(f"c{number}", Cmd=["sleep", "1000"], HostConfig={"NetworkMode": name})
            leaks.remember(fresh_daemon, identity)
            assert fresh_daemon.api("DELETE", f"/containers/{identity}", query={"force": 1}).status == 204
        _remove(fresh_daemon, name)

    come_and_go(0)  # warm: the helper that answers names runs from the first container on
    before, more = leaks.at_rest(fresh_daemon), _left(fresh_daemon)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(NETWORKS)))
    after = leaks.settle(fresh_daemon, before)
    _settle(fresh_daemon, more)
    print(f"{NETWORKS} networks: {dict(before)} -> {dict(after)}; {dict(more)} -> {dict(_left(fresh_daemon))}")
    assert len(fresh_daemon.api("GET", "/networks").json()) == 3

"""Five hundred lives of containers, eight at once, leave nothing behind."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import nftables
from tests.harness import leaks, streams
from tests.harness.engine import Engine

LIVES, AT_ONCE = int(os.environ.get("SCOW_TEST_LIVES", "500")), 8

# Waits for the container's own program first: an exec may well overtake what the init writes, and stop then ends it.
SECOND = "while read -r name < /proc/1/comm; [ $name != sleep ]; do :; done; echo exec {}; exit 3"


def live(engine: Engine, number: int) -> None:
    name = f"life{number}"
    ports = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]} if number % 5 == 0 and nftables() else {}
    identity = engine.create(
        name,
        Cmd=["sh", "-c", f"echo hello {number}; exec sleep 600"],
        StopSignal="SIGKILL",
        Tty=number % 7 == 0,
        HostConfig={"PortBindings": ports, "Memory": 64 << 20 if number % 3 == 0 else 0},
    )
    leaks.remember(engine, identity)
    engine.start_container(name)
    code, out, _ = streams.execute(engine, name, ["sh", "-c", SECOND.format(number)])
    assert (code, out) == (3, f"exec {number}\n".encode())
    assert engine.api("POST", f"/containers/{name}/stop", query={"t": 1}).status == 204
    answer = engine.api("GET", f"/containers/{name}/logs", query={"stdout": 1})
    assert f"hello {number}".encode() in answer.body
    assert engine.api("DELETE", f"/containers/{name}").status == 204


@pytest.mark.slow
def test_lives_leave_nothing(scratch: Engine) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda n: live(scratch, n), range(2 * AT_ONCE)))  # warm: thread pools, caches
    before = leaks.at_rest(scratch)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda n: live(scratch, n), range(LIVES)))
    leaks.settle(scratch, before)


def test_failed_starts_leave_nothing(scratch: Engine) -> None:
    before = leaks.at_rest(scratch)
    for number in range(20):
        identity = scratch.create(Cmd=["/no/such/command"])
        leaks.remember(scratch, identity)
        assert scratch.api("POST", f"/containers/{identity}/start").status == 400
        assert scratch.api("DELETE", f"/containers/{identity}").status == 204
        bad = scratch.api("POST", "/containers/create", {"Image": "no-such-image"}, query={"name": f"bad{number}"})
        assert bad.status == 404
    leaks.settle(scratch, before)

"""Who is killed for lack of memory, and that everybody learns of it, once."""

import json
import time

import pytest

from tests.harness import streams
from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine

SMALL = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
HOG = ["tail", "/dev/zero"]


def told(clients: Clients, name: str, since: float) -> list[str]:
    query = {"since": f"{since:.9f}", "until": f"{time.time():.9f}", "filters": json.dumps({"container": [name]})}
    found = [json.loads(line)["Action"] for line in clients.api("GET", "/events", query=query).body.splitlines()]
    return [action for action in found if action in ("start", "oom", "die")]


def killed(clients: Clients, name: str) -> bool:
    return bool(clients.inspect(name)["State"]["OOMKilled"])


def test_the_first_process(clean: Clients) -> None:
    since = time.time()
    clean.launch("c1", Cmd=HOG, HostConfig=SMALL)
    assert clean.wait("c1") == 137
    assert killed(clean, "c1") and clean.inspect("c1")["State"]["ExitCode"] == 137
    assert told(clean, "c1", since) == ["start", "oom", "die"]


def test_a_child_while_the_container_goes_on(clean: Clients) -> None:
    since = time.time()
    clean.launch(
        "c1", Cmd=["sh", "-c", "trap 'exit 0' TERM; tail /dev/zero; while :; do sleep 0.05; done"], HostConfig=SMALL
    )
    await_true("the kill", lambda: killed(clean, "c1"))
    assert clean.inspect("c1")["State"]["Running"]
    clean.api("POST", "/containers/c1/stop")
    assert clean.inspect("c1")["State"]["ExitCode"] == 0 and killed(clean, "c1")
    assert told(clean, "c1", since) == ["start", "oom", "die"]
    clean.start_container("c1")
    clean.api("POST", "/containers/c1/kill")


def test_an_exec(clean: Clients) -> None:
    since = time.time()
    clean.launch("c1", Cmd=["sleep", "60"], HostConfig=SMALL)
    for number in (1, 2):
        assert streams.execute(clean, "c1", HOG)[0] == 137  # type: ignore[arg-type]
        await_true("the kill", lambda number=number: told(clean, "c1", since) == ["start", *["oom"] * number])
    assert killed(clean, "c1")


def test_a_kill_by_hand_is_none(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "60"], HostConfig=SMALL)
    clean.api("POST", "/containers/c1/kill")
    assert clean.wait("c1") == 137 and not killed(clean, "c1")


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_daemon_that_was_not_there_tells_it_once(fresh_daemon: Engine, when: str) -> None:
    engine = fresh_daemon
    pause = "" if when == "before" else "sleep 0.7; "
    engine.launch("c1", Cmd=["sh", "-c", f"{pause}tail /dev/zero; sleep 60"], HostConfig=SMALL)
    if when == "before":
        await_true("the kill", lambda: killed(engine, "c1"))
    engine.kill9()
    time.sleep(1)
    since = time.time()
    engine.start()
    await_true("the kill", lambda: killed(engine, "c1"))
    assert told(engine, "c1", since) == (["oom"] if when == "while" else [])

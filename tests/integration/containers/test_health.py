"""Health checks in real containers."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import streams
from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine

MS = 10**6
SECOND = 1000 * MS


def health(clients: Clients, name: str) -> Any:
    return clients.inspect(name)["State"].get("Health")


def becomes(clients: Clients, name: str, status: str) -> Any:
    await_true(f"{name} is {status}", lambda: health(clients, name)["Status"] == status)
    return health(clients, name)


def check(*words: str, **more: Any) -> dict[str, Any]:
    return {"Test": list(words), "Interval": 50 * MS, **more}


def events(clients: Clients, name: str, since: float) -> list[str]:
    query = {
        "since": f"{since:.9f}", "until": f"{time.time():.9f}", "filters": json.dumps({"container": [name]})
    }  # fmt: skip
    return [json.loads(line)["Action"] for line in clients.api("GET", "/events", query=query).body.splitlines()]


def test_a_life_of_checks(clean: Clients) -> None:
    since = time.time()
    clean.launch(
        "h1", Cmd=["sleep", "60"], Healthcheck=check("CMD-SHELL", "echo $WHO; test -e /ok", Retries=2), Env=["WHO=me"]
    )
    assert health(clean, "h1") == {"Status": "starting", "FailingStreak": 0, "Log": []}
    assert clean.out("ps", "--format", "{{.Status}}").endswith("(health: starting)")
    known = becomes(clean, "h1", "unhealthy")
    assert known["Log"][0]["Output"] == "me\n" and known["Log"][0]["ExitCode"] == 1 and known["FailingStreak"] >= 2
    streams.execute(clean, "h1", ["touch", "/ok"])  # type: ignore[arg-type]
    known = becomes(clean, "h1", "healthy")
    assert known["FailingStreak"] == 0 and len(known["Log"]) <= 5
    assert clean.out("ps", "--format", "{{.Status}}").endswith("(healthy)")
    assert clean.out("ps", "-q", "--filter", "health=healthy") and not clean.out("ps", "-q", "--filter", "health=none")
    clean.api("POST", "/containers/h1/pause")
    assert health(clean, "h1")["Status"] == "unhealthy"
    clean.api("POST", "/containers/h1/unpause")
    becomes(clean, "h1", "healthy")
    clean.api("POST", "/containers/h1/stop", query={"t": 0})
    assert health(clean, "h1")["Status"] == "unhealthy"
    seen = events(clean, "h1", since)
    assert [action for action in seen if action.startswith("health")] == [
        "health_status: unhealthy", "health_status: healthy", "health_status: healthy"
    ]  # fmt: skip
    at = seen.index("health_status: unhealthy")
    command = "/bin/sh -c echo $WHO; test -e /ok"
    assert seen[at - 3 : at] == [f"exec_create: {command}", f"exec_start: {command}", "exec_die"]


@pytest.mark.usefixtures("needs_ps")
def test_a_check_that_hangs_is_ended_with_what_it_started(clean: Clients) -> None:
    hangs = check("CMD-SHELL", "echo hi; sleep 1234; echo never", Timeout=100 * MS, Retries=1)
    clean.launch("h1", Cmd=["sleep", "60"], Healthcheck=hangs)
    known = becomes(clean, "h1", "unhealthy")
    assert known["Log"][0] | {"Start": "", "End": ""} == {
        "Start": "", "End": "", "ExitCode": -1, "Output": "Health check exceeded timeout (100ms): hi\n"
    }  # fmt: skip
    clean.api("POST", "/containers/h1/pause")  # no new check while we look
    titles = clean.api("GET", "/containers/h1/top").json()["Processes"]
    assert len([line for line in titles if "sleep 1234" in line[-1]]) <= 2, titles


def test_the_output_is_cut_as_docker_cuts_it(clean: Clients) -> None:
    clean.launch("h1", Cmd=["sleep", "60"], Healthcheck=check("CMD-SHELL", "head -c 5000 /dev/zero | tr '\\0' x"))
    assert becomes(clean, "h1", "healthy")["Log"][0]["Output"] == "x" * 4096 + "..."


@pytest.mark.parametrize("action", ["kill", "stop", "restart"])
def test_what_happens_to_the_unhealthy(scratch: Engine, action: str) -> None:
    scratch.scow(
        "run", "-d", "--name", "h1", "--health-cmd", "false", "--health-interval", "50ms", "--health-retries", "1",
        "--health-on-failure", action, "busybox", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done", check=True,
    )  # fmt: skip
    first = scratch.inspect("h1")["State"]
    assert scratch.inspect("h1")["HostConfig"]["HealthOnFailure"] == action
    if action == "restart":
        await_true("a new process", lambda: scratch.inspect("h1")["State"]["Pid"] not in (0, first["Pid"]))
        return
    await_true("its end", lambda: scratch.inspect("h1")["State"]["Status"] == "exited")
    assert scratch.inspect("h1")["State"]["ExitCode"] == {"kill": 137, "stop": 3}[action]


def test_health_survives_the_daemon(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    engine.launch("h1", Cmd=["sleep", "60"], Healthcheck=check("CMD-SHELL", "date >> /log"))
    engine.launch("slow", Cmd=["sleep", "60"], Healthcheck={"Test": ["CMD", "true"], "Interval": 3600 * SECOND})
    before = becomes(engine, "h1", "healthy")
    await_true("a record", lambda: list(Path(engine.exec_root, "health").glob("[0-9a-f]*")))
    engine.kill9()
    engine.start()
    after = health(engine, "h1")
    assert after["Status"] == "healthy" and after["Log"][-1]["Start"] >= before["Log"][0]["Start"]
    await_true("another check", lambda: health(engine, "h1")["Log"][-1]["Start"] > after["Log"][-1]["Start"])
    assert health(engine, "slow") == {"Status": "starting", "FailingStreak": 0, "Log": []}


def test_a_frozen_container_piles_up_no_checks(scratch: Engine) -> None:
    """It is frozen behind the daemon's back: checks time out one after the other and only one is ever there."""
    slow = check("CMD", "true", Timeout=SECOND, Retries=1)
    identity = scratch.launch("h1", Cmd=["sleep", "60"], Healthcheck=slow)
    becomes(scratch, "h1", "healthy")
    place = next(p for p in (Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup")) if p.is_dir())
    control = next(place.rglob(identity)) / ("freezer.state" if place.name == "freezer" else "cgroup.freeze")
    frozen, thawed = ("FROZEN", "THAWED") if place.name == "freezer" else ("1", "0")
    control.write_text(frozen)
    try:
        becomes(scratch, "h1", "unhealthy")
        pids = (control.parent / "cgroup.procs").read_text().split()
        assert len(pids) <= 2, pids
    finally:
        control.write_text(thawed)
    becomes(scratch, "h1", "healthy")


@pytest.mark.skipif(not os.environ.get("SCOW_SOAK_CHECKS"), reason="a soak: SCOW_SOAK_CHECKS=100000")
def test_many_checks_leave_no_trace(scratch: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = int(os.environ["SCOW_SOAK_CHECKS"])
    identity = scratch.launch("h1", Cmd=["sleep", "1000000"], Healthcheck={"Test": ["CMD", "true"], "Interval": MS})
    init = scratch.inspect("h1")["State"]["Pid"]
    monitor = int(Path(f"/proc/{init}/stat").read_text().split()[3])
    counted = _Counter(scratch, identity)
    counted.reach(1000)
    first = {name: figures(pid) for name, pid in (("monitor", monitor), ("daemon", scratch.pid))}
    begin = time.monotonic()
    counted.reach(wanted)
    last = {name: figures(pid) for name, pid in (("monitor", monitor), ("daemon", scratch.pid))}
    with capsys.disabled():
        print(f"\n{wanted - 1000} checks in {time.monotonic() - begin:.0f} s\nafter 1000: {first}\nat the end: {last}")
    assert last["monitor"]["kB"] <= first["monitor"]["kB"] * 1.05 + 64
    assert abs(last["monitor"]["fds"] - first["monitor"]["fds"]) <= 4
    assert last["monitor"]["children"] <= first["monitor"]["children"] + 2
    assert last["daemon"]["kB"] <= first["daemon"]["kB"] * 1.2 + 4096


def figures(pid: int) -> dict[str, int]:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {"kB": private, "fds": len(os.listdir(f"/proc/{pid}/fd")), "children": len(children)}


class _Counter:
    """Counts checks by their events."""

    def __init__(self, engine: Engine, identity: str) -> None:
        self._connection = engine.connect(timeout=60)
        filters = json.dumps({"container": [identity], "event": ["exec_die"]})
        self._connection.request("GET", f"/v1.45/events?filters={filters}".replace(" ", "").replace('"', "%22"))
        self._answer = self._connection.getresponse()
        self.count = 0

    def reach(self, number: int) -> None:
        while self.count < number:
            assert self._answer.readline()
            self.count += 1

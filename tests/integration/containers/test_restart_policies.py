"""Restart policies: who is started again, how often it is counted, and what a daemon or a machine that went down changes."""

import json
import shutil
import time

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine

END_BY_SIGNAL = ["sh", "-c", "trap 'exit 0' TERM HUP; while :; do sleep 0.05; done"]


def policy(name: str, count: int = 0) -> dict[str, object]:
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": count}}


def status(clients: Clients, name: str) -> str:
    return str(clients.inspect(name)["State"]["Status"])


def actions(clients: Clients, name: str, since: float) -> list[str]:
    query = {"since": f"{since:.9f}", "until": f"{time.time():.9f}", "filters": json.dumps({"container": [name]})}
    return [json.loads(line)["Action"] for line in clients.api("GET", "/events", query=query).body.splitlines()]


def test_on_failure_stops_at_its_number_and_counts(clean: Clients) -> None:
    since = time.time()
    clean.launch("c1", Cmd=["sh", "-c", "exit 3"], HostConfig=policy("on-failure", 2))
    await_true("its last end", lambda: status(clean, "c1") == "exited" and clean.inspect("c1")["RestartCount"] == 2)
    assert clean.inspect("c1")["State"]["ExitCode"] == 3
    assert [a for a in actions(clean, "c1", since) if a != "create"] == ["start", "die"] * 3
    clean.start_container("c1")  # by hand: it is counted anew
    await_true("another end", lambda: status(clean, "c1") == "exited" and clean.inspect("c1")["RestartCount"] == 2)


def test_on_failure_leaves_a_success_alone(clean: Clients) -> None:
    clean.launch("c1", Cmd=["true"], HostConfig=policy("on-failure"))
    assert clean.wait("c1") == 0
    assert status(clean, "c1") == "exited" and clean.inspect("c1")["RestartCount"] == 0


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_the_users_stop_is_final_until_a_start(clean: Clients, verb: str) -> None:
    clean.launch("c1", Cmd=END_BY_SIGNAL, HostConfig=policy("always"))
    clean.api("POST", f"/containers/c1/{verb}")
    await_true("its end", lambda: status(clean, "c1") == "exited")
    clean.start_container("c1")
    pid = clean.inspect("c1")["State"]["Pid"]
    assert clean.api("POST", "/containers/c1/kill", query={"signal": "HUP"}).status == 204  # ends it, is no stop
    await_true("a restart", lambda: clean.inspect("c1")["State"]["Pid"] not in (0, pid))
    assert clean.inspect("c1")["RestartCount"] == 1


def test_a_stop_in_the_back_off_is_final(clean: Clients) -> None:
    clean.launch("c1", Cmd=["false"], HostConfig=policy("always"))
    await_true("a pause between two starts", lambda: status(clean, "c1") == "restarting")
    assert clean.api("POST", "/containers/c1/stop").status in (204, 304)
    await_true("its end", lambda: status(clean, "c1") == "exited")


def test_restart_tells_its_steps_in_dockers_order(clean: Clients) -> None:
    clean.launch("c1", Cmd=END_BY_SIGNAL)
    since = time.time()
    clean.api("POST", "/containers/c1/restart", query={"t": 5})
    assert actions(clean, "c1", since) == ["kill", "die", "stop", "start", "restart"]


def test_policies_after_a_kill_of_the_daemon(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    engine.launch("failing", Cmd=["false"], HostConfig=policy("always"))
    engine.launch("ended", Cmd=["sh", "-c", "sleep 0.3; exit 1"], HostConfig=policy("on-failure", 1))
    engine.launch("stopped", Cmd=END_BY_SIGNAL, HostConfig=policy("unless-stopped"))
    engine.launch("plain", Cmd=END_BY_SIGNAL)
    engine.api("POST", "/containers/stopped/stop")
    await_true("some restarts", lambda: engine.inspect("failing")["RestartCount"] >= 2)
    count = engine.inspect("failing")["RestartCount"]
    engine.kill9()
    time.sleep(0.5)
    engine.start()
    await_true("more restarts", lambda: engine.inspect("failing")["RestartCount"] > count)
    await_true("the end of its tries", lambda: status(engine, "ended") == "exited")
    assert engine.inspect("ended")["RestartCount"] == 1
    assert status(engine, "stopped") == "exited" and status(engine, "plain") == "running"


def test_policies_after_the_machine_went_down(fresh_daemon: Engine) -> None:
    """Its processes and everything below /run are gone, what is on disk is there."""
    engine = fresh_daemon
    policies = {"none1": "no", "failed": "on-failure", "unless": "unless-stopped", "always": "always"}
    for name, kind in policies.items():
        engine.launch(name, Cmd=["sleep", "1000"], HostConfig=policy(kind), StopSignal="KILL")
    engine.launch("stopped1", Cmd=["sleep", "1000"], HostConfig=policy("unless-stopped"), StopSignal="KILL")
    engine.launch("stopped2", Cmd=["sleep", "1000"], HostConfig=policy("always"), StopSignal="KILL")
    engine.launch("temporary", Cmd=["sleep", "1000"], HostConfig={"AutoRemove": True})
    for name in ("stopped1", "stopped2"):
        engine.api("POST", f"/containers/{name}/stop")
    go_down(engine)
    engine.start()
    for name in ("failed", "unless", "always", "stopped2"):  # always means always: a new daemon starts it again
        await_true(f"{name} runs", lambda name=name: status(engine, name) == "running")
    assert status(engine, "none1") == "exited" and engine.inspect("none1")["State"]["ExitCode"] == 255
    assert status(engine, "stopped1") == "exited"
    assert engine.api("GET", "/containers/temporary/json").status == 404


def go_down(engine: Engine) -> None:
    """What a power cut does, but for the page cache."""
    import os
    import signal
    from pathlib import Path

    states = [engine.inspect(identity)["State"] for identity in engine.ids()]
    running = [state["Pid"] for state in states if state["Pid"]]
    monitors = [int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in running]
    engine.kill9()
    for pid in (*monitors, *running):
        os.kill(pid, signal.SIGKILL)
    await_true("an end of them", lambda: not any(Path(f"/proc/{pid}").exists() for pid in running))
    shutil.rmtree(engine.exec_root)

"""A container that stands still delays nobody else: its monitor is stopped, or its processes are frozen from outside."""

import contextlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine
from tests.harness.programs import ps_works

QUESTIONS = (
    "/containers/json?all=1&size=1", "/containers/stuck/json?size=1", "/info", "/system/df", "/containers/stuck/top",
    "/containers/stuck/stats?stream=0&one-shot=1", "/containers/stuck/logs?stdout=1", "/containers/stuck/changes",
    "/containers/stuck/archive?path=/etc/passwd", "/events?since=1&until=2", "/volumes", "/networks/bridge",
)  # fmt: skip
PATIENCE = 4  # for each answer: less than what the engine itself gives a monitor


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def command_of(pid: int) -> bytes:
    """The command line of a process; b"" when it has ended, perhaps without having been waited for."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def init_of(clients: Clients) -> int:
    return int(clients.inspect("stuck")["State"]["Pid"])


def monitor_of(init: int) -> int:
    """The parent of a first process, once its starter is gone, which is its parent at first and a child of the monitor."""

    def zygotes_child() -> int:
        found = parent(init)
        with contextlib.suppress(OSError):
            return found if Path(f"/proc/{parent(found)}/comm").read_text() == "scow-zygote\n" else 0
        return 0

    return int(await_true("the first process is its monitor's child", zygotes_child))


@contextlib.contextmanager
def stopped_monitor(clients: Clients) -> Iterator[None]:
    monitor = monitor_of(init_of(clients))
    os.kill(monitor, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(monitor, signal.SIGCONT)


@contextlib.contextmanager
def frozen_processes(clients: Clients) -> Iterator[None]:
    lines = Path(f"/proc/{init_of(clients)}/cgroup").read_text().splitlines()
    groups = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}
    if "freezer" in groups:
        control, states = Path("/sys/fs/cgroup/freezer" + groups["freezer"]) / "freezer.state", ("FROZEN", "THAWED")
    else:
        control, states = Path("/sys/fs/cgroup" + groups[""]) / "cgroup.freeze", ("1", "0")
    control.write_text(states[0])
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            control.write_text(states[1])


STUCK = {"monitor": stopped_monitor, "processes": frozen_processes}


def launch(clients: Clients) -> None:
    checks = {"Test": ["CMD", "true"], "Interval": 200_000_000, "Timeout": 10**9}
    clients.launch("stuck", Cmd=["sleep", "600"], Healthcheck=checks, HostConfig={"RestartPolicy": {"Name": "always"}})
    await_true("a check", lambda: clients.inspect("stuck")["State"]["Health"]["Status"] == "healthy")


def everything_else_goes_on(clients: Clients) -> None:
    for question in QUESTIONS:
        status = clients.api("GET", question, timeout=PATIENCE).status
        assert status == (200 if ps_works() or not question.endswith("/top") else 400), question
    clients.create("other", Cmd=["true"])
    assert clients.api("POST", "/containers/other/start", timeout=PATIENCE).status == 204
    assert clients.wait("other", timeout=PATIENCE) == 0
    assert clients.api("DELETE", "/containers/other", timeout=PATIENCE).status == 204
    assert clients.api("POST", "/containers/prune", timeout=PATIENCE).status == 200


@pytest.mark.parametrize("what", STUCK)
def test_everything_else_goes_on(clean: Clients, what: str) -> None:
    launch(clean)
    with STUCK[what](clean):
        everything_else_goes_on(clean)
        asking = threading.Thread(target=clean.api, args=("POST", "/containers/stuck/pause"), daemon=True)
        asking.start()  # somebody waits for it: that delays nobody either
        everything_else_goes_on(clean)
    asking.join(20)
    clean.api("POST", "/containers/stuck/unpause")
    assert clean.inspect("stuck")["State"]["Running"]


def test_a_container_whose_monitor_does_not_answer_can_be_removed(clean: Clients) -> None:
    launch(clean)
    init = init_of(clean)
    with stopped_monitor(clean):
        assert clean.api("DELETE", "/containers/stuck", query={"force": 1}, timeout=30).status == 204
    assert not command_of(init)


@pytest.mark.parametrize("what", STUCK)
def test_a_daemon_starts_beside_it_and_leaves_it_alone(fresh_daemon: Engine, what: str) -> None:
    engine = fresh_daemon
    launch(engine)
    init = init_of(engine)
    with STUCK[what](engine):
        engine.kill9()
        engine.start()
        everything_else_goes_on(engine)
        assert engine.inspect("stuck")["State"]["Running"] and init_of(engine) == init
    await_true("the container to be spoken to", lambda: engine.api("POST", "/containers/stuck/pause").status == 204)
    assert engine.api("POST", "/containers/stuck/unpause").status == 204
    engine.api("POST", "/containers/stuck/kill")
    assert engine.wait("stuck") == 137


VERBS = {
    "pause": ("POST", "/containers/stuck/pause", None),
    "resize": ("POST", "/containers/stuck/resize?h=1&w=2", None),
    "signal": ("POST", "/containers/stuck/kill?signal=USR1", None),
    "attach": ("POST", "/containers/stuck/attach?stream=1&stdout=1", None),
    "websocket": ("GET", "/containers/stuck/attach/ws?stream=1&stdout=1", None),
    "exec": ("POST", "/exec/{exec}/start", {"Detach": True}),
    "exec resize": ("POST", "/exec/{running}/resize?h=1&w=2", None),
}
SILENT = "does not answer"


def prepare_exec(clients: Clients, *command: str) -> str:
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
    return str(clients.api("POST", "/containers/stuck/exec", body=body).json()["Id"])


def test_every_verb_ends_and_delays_nobody(clean: Clients) -> None:
    """All at once: each has its own sentence within its own time, and the daemon answers everybody else meanwhile."""
    clean.launch("stuck", Cmd=["sleep", "600"])
    init = init_of(clean)
    ready, running = prepare_exec(clean, "touch", "/late"), prepare_exec(clean, "sleep", "600")
    clean.api("POST", f"/exec/{running}/start", body={"Detach": True})
    answers: dict[str, str] = {}

    def ask(name: str) -> None:
        method, path, body = VERBS[name]
        answer = clean.api(method, path.format(exec=ready, running=running), body=body, timeout=30)
        answers[name] = f"{answer.status} {answer.message}"

    with stopped_monitor(clean):
        asking = [threading.Thread(target=ask, args=(name,), daemon=True) for name in VERBS]
        for thread in asking:
            thread.start()
        while any(thread.is_alive() for thread in asking):
            for question in QUESTIONS[1:3]:
                assert clean.api("GET", question, timeout=PATIENCE).status == 200
        for path, status in (("update", 200), ("rename?name=stuck", 400)):
            body = {"CpuShares": 512} if path == "update" else None
            assert clean.api("POST", f"/containers/stuck/{path}", body=body, timeout=PATIENCE).status == status
    assert all(text.startswith("500") and text.endswith(SILENT) for text in answers.values()), answers
    assert len(answers) == len(VERBS)
    await_true("an answer", lambda: clean.scow("exec", "stuck", "true").returncode == 0)
    assert clean.scow("exec", "stuck", "ls", "/late").returncode != 0  # nobody waited for it: it never ran
    assert clean.inspect("stuck")["State"]["Status"] == "running" and init_of(clean) == init


def test_a_client_of_an_exec_is_told(clean: Clients) -> None:
    clean.launch("stuck", Cmd=["sleep", "600"])
    with stopped_monitor(clean):
        with ThreadPoolExecutor() as pool:
            asked = [
                pool.submit(clean.scow, *words, timeout=30)
                for words in (("exec", "stuck", "true"), ("attach", "stuck"))
            ]
            inside, attached = (future.result() for future in asked)
        assert inside.returncode == 126 and SILENT in inside.stdout + inside.stderr
        assert attached.returncode == 1 and SILENT in attached.stderr
        assert clean.api("POST", "/containers/stuck/stop", query={"t": 1}, timeout=30).status == 204


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_a_daemon_ends_beside_it(fresh_daemon: Engine, end: str) -> None:
    engine = fresh_daemon
    engine.launch("stuck", Cmd=["sleep", "600"])

    def pause() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # the daemon's end cuts it off
            engine.api("POST", "/containers/stuck/pause")

    with stopped_monitor(engine):
        threading.Thread(target=pause, daemon=True).start()
        time.sleep(0.5)  # it is on its way, and nothing tells when
        getattr(engine, end)()
        engine.start()
    # nobody counts any more on the pause that the daemon before has asked for
    await_true("it goes on", lambda: engine.scow("exec", "stuck", "true").returncode == 0)
    assert engine.inspect("stuck")["State"]["Status"] == "running"
    engine.api("POST", "/containers/stuck/kill")
    assert engine.wait("stuck") == 137

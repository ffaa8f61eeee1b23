"""A daemon may die at any instant: no container notices, and the next daemon knows all that has happened."""

import itertools
import random
import threading
import time
from datetime import UTC, datetime

import pytest

from tests.harness import leaks, streams
from tests.harness.clients import await_true
from tests.harness.engine import Engine

READY = 3.0  # seconds until the next daemon answers

COUNT = "i=0; while :; do i=$((i+1)); echo $i; {pause}; done"


def numbers(engine: Engine, name: str) -> list[int]:
    return [int(line) for line in streams.logs(engine, name)[0].split()]


def restart_after_kill(engine: Engine, pause: float = 0.0) -> None:
    engine.kill9()
    time.sleep(pause)
    begin = time.monotonic()
    engine.start()
    took = time.monotonic() - begin
    assert took < READY, f"ready after {took:.1f} s"


def test_twenty_writers_do_not_notice_a_kill(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    names = [f"writer{n}" for n in range(20)]
    for name in names:
        engine.launch(name, Cmd=["sh", "-c", COUNT.format(pause="usleep 5000")], StopSignal="SIGKILL")
    before = {name: engine.inspect(name)["State"] for name in names}
    time.sleep(1)
    restart_after_kill(engine, pause=1)
    time.sleep(1)
    for name in names:
        state = engine.inspect(name)["State"]
        assert (state["Pid"], state["StartedAt"]) == (before[name]["Pid"], before[name]["StartedAt"])
        assert state["Running"] and state["Status"] == "running"

    # every line once, in order, before, while and after there was no daemon
    for name in names:
        seen = numbers(engine, name)
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) > 100

    # attach, exec, stop work on them
    stream = streams.attach(engine, names[0], stdin=0)
    assert stream.until(b"\n").strip().isdigit()
    stream.close()
    assert streams.execute(engine, names[1], ["echo", "still here"]) == (0, b"still here\n", b"")
    for name in names:
        assert engine.api("POST", f"/containers/{name}/stop", query={"t": 1}).status == 204
        state = engine.inspect(name)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 137)
        seen = numbers(engine, name)
        assert seen == list(range(1, len(seen) + 1))


def test_stdin_of_an_adopted_container_works(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    engine.launch("cat", Cmd=["cat"], OpenStdin=True)
    restart_after_kill(engine)
    stream = streams.attach(engine, "cat")
    stream.send(b"over the gap\n")
    assert stream.until(b"\n") == b"over the gap\n"
    stream.close()
    assert engine.inspect("cat")["State"]["Running"]


def test_an_attached_client_survives_the_daemon(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    engine.launch("cat", Cmd=["cat"], OpenStdin=True)
    stream = streams.attach(engine, "cat")
    stream.send(b"one\n")
    assert stream.until(b"\n") == b"one\n"
    engine.kill9()
    stream.send(b"two\n")
    assert stream.until(b"\n") == b"two\n"
    engine.start()
    stream.send(b"three\n")
    assert stream.until(b"\n") == b"three\n"
    stream.close()
    assert streams.logs(engine, "cat")[0] == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_an_exit_without_a_daemon_is_known_with_its_code_and_time(fresh_daemon: Engine, how: str) -> None:
    engine = fresh_daemon
    engine.launch("short", Cmd=["sh", "-c", "sleep 1; echo last words; exit 7"])
    engine.launch("signalled", Cmd=["sh", "-c", "sleep 1; kill -TERM $$; sleep 9"], HostConfig={"Init": False})
    ends = time.time() + 1
    engine.kill9() if how == "kill" else engine.stop()
    time.sleep(2.5)
    engine.start()
    state = engine.inspect("short")["State"]
    assert (state["Status"], state["ExitCode"], state["Running"], state["Pid"]) == ("exited", 7, False, 0)
    finished = datetime.fromisoformat(state["FinishedAt"][:19] + "+00:00").astimezone(UTC).timestamp()
    assert abs(finished - ends) < 1.2
    assert streams.logs(engine, "short")[0] == b"last words\n"
    assert engine.wait("short") == 7


def test_a_restart_policy_is_kept_over_an_exit_without_a_daemon(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    policy = {"RestartPolicy": {"Name": "always"}}
    engine.launch("again", Cmd=["sh", "-c", "echo start; sleep 1; exit 1"], HostConfig=policy)
    engine.kill9()
    time.sleep(2)
    engine.start()
    await_true("it was started again", lambda: len(streams.logs(engine, "again")[0].split()) >= 2)


def test_a_published_port_answers_again(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    engine.launch(
        "web",
        Cmd=["sh", "-c", "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80; done"],
        ExposedPorts={"80/tcp": {}},
        HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
    )
    port = engine.inspect("web")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
    fetch = ["curl", "-s", "-m", "3", f"http://127.0.0.1:{port}/"]
    await_true("it answers", lambda: engine.run(fetch).stdout == "hello")
    engine.kill9()
    await_true("it answers without a daemon", lambda: engine.run(fetch).stdout == "hello")
    engine.start()
    await_true("it answers after adoption", lambda: engine.run(fetch).stdout == "hello")
    # the port is still taken, for the daemon too
    taken = engine.create(
        Cmd=["true"], HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}}
    )
    assert engine.api("POST", f"/containers/{taken}/start").status == 500


def test_kills_at_random_moments_of_starts_and_removals_leave_nothing(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    engine.launch("warm", Cmd=["true"])
    engine.wait("warm")
    engine.remove_all()
    before = leaks.at_rest(engine)
    moment = random.Random(20)
    for _turn in range(10):
        stop = threading.Event()

        def churn(stop: threading.Event = stop) -> None:
            for number in itertools.count():
                if stop.is_set():
                    return
                try:
                    body = {"Image": "busybox", "Cmd": ["sleep", "600"] if number % 2 else ["true"]}
                    identity = engine.api("POST", "/containers/create", body).json()["Id"]
                    leaks.remember(engine, identity)
                    engine.api("POST", f"/containers/{identity}/start")
                    engine.api("DELETE", f"/containers/{identity}", query={"force": 1})
                except (OSError, ValueError, KeyError):
                    return  # the daemon is gone

        threads = [threading.Thread(target=churn) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(moment.uniform(0.05, 0.6))
        engine.kill9()
        stop.set()
        for thread in threads:
            thread.join()
        engine.start()
        for item in engine.api("GET", "/containers/json", query={"all": 1}).json():
            assert item["State"] in ("created", "running", "exited", "dead", "removing"), item
    await_true("every container can be removed", lambda: engine.remove_all() or not list(engine.ids()))
    leaks.settle(engine, before)

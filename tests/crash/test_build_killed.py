"""A build whose daemon is killed: nothing of it is visible, what was finished is in the cache, and nothing runs on."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.harness.clients import ROOT, await_true
from tests.harness.contexts import build, run
from tests.harness.engine import Engine

DOCKERFILE = (
    "FROM busybox\nRUN echo one > /1\nRUN dd if=/dev/urandom of=/2 bs=1M count=8 2>/dev/null\n"
    "RUN --mount=type=secret,id=s,env=S echo slow; touch /3; sleep {seconds}\nRUN cat /1 > /4\n"
)


def killed(engine: Engine, delay: float) -> None:
    """Start the build, kill the daemon after `delay` seconds, and start it again."""

    def client() -> None:
        try:
            build(engine, DOCKERFILE.format(seconds=60), t="b/killed")
        except OSError:
            pass  # the daemon is gone
        except Exception as error:  # noqa: BLE001  an answer that was cut off
            assert "Incomplete" in type(error).__name__, error

    thread = threading.Thread(target=client)
    thread.start()
    time.sleep(delay)
    engine.kill9()
    thread.join()
    engine.start()


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.2, 0.35, 1.5])
def test_killed_in_a_build(fresh_daemon: Engine, delay: float) -> None:
    engine = fresh_daemon
    killed(engine, delay)
    assert engine.api("GET", "/images/b/killed/json").status == 404
    assert engine.api("GET", "/containers/json", query={"all": "1"}).json() == []
    root = engine.data_root
    await_true("nothing of the step is left", lambda: not list((root / "containers").iterdir()), 10)
    await_true("no writable layer is left", lambda: not list((root / "rw").iterdir()), 10)
    assert not list((root / "tmp").iterdir()) and not list((root / "images/ingest").iterdir())
    assert not list(Path(engine.exec_root / "tasks").iterdir())
    assert not list(Path(engine.exec_root / "build-secrets").iterdir())
    mounted = Path("/proc/self/mountinfo").read_text()
    assert str(root / "rw") not in mounted
    again = build(engine, DOCKERFILE.format(seconds=0), t="b/killed")
    assert run(engine, again.image, "cat /1 /4; ls /2 /3") == "one\none\n/2\n/3\n"
    rows = engine.api("GET", "/system/df").json()["BuildCache"]
    named = {path.name for path in (root / "layers").iterdir()}
    assert len(named) <= 1 + len(rows)  # the base, and what steps have made


def test_finished_steps_are_cache_hits(fresh_daemon: Engine) -> None:
    engine = fresh_daemon
    killed(engine, 2.0)
    again = build(engine, DOCKERFILE.format(seconds=0), t="b/killed")
    assert again.cached == 2, again.text


def test_killed_in_a_verification(fresh_daemon: Engine, tmp_path: Path) -> None:
    """What was made to be compared belongs to nobody: the next daemon sweeps it."""
    engine = fresh_daemon
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(seconds=60).replace("sleep 60", "sleep $S"))
    environment = {"S": "0"}
    flags = ("--secret", "id=s,env=S")
    engine.scow("build", "-t", "b/killed", *flags, str(tmp_path), check=True, env=environment)
    blobs, layers = engine.data_root / "images/blobs/sha256", engine.data_root / "layers"
    before = {path.name for path in (*blobs.iterdir(), *layers.iterdir())}
    command = [str(ROOT / "bin/scow"), "-H", engine.host, "build", "--verify", "b/killed", *flags, str(tmp_path)]
    verifying = subprocess.Popen(command, env={**engine.env, "S": "60"}, stdout=subprocess.PIPE, text=True)
    assert verifying.stdout is not None
    for said in verifying.stdout:
        if said == "slow\n":
            break
    assert {path.name for path in (*blobs.iterdir(), *layers.iterdir())} - before
    engine.kill9()
    verifying.communicate()
    assert verifying.returncode == 1
    engine.start()
    await_true("no layer is left", lambda: {path.name for path in layers.iterdir()} <= before, 10)
    await_true(
        "no blob is left",
        lambda: {path.name for path in blobs.iterdir()} == before - {path.name for path in layers.iterdir()},
        10,
    )
    again = engine.scow("build", "--verify", "b/killed", *flags, str(tmp_path), env=environment)
    assert "layer 3: " in again.stdout and "  /2: content\n" in again.stdout

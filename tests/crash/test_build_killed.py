"""A build whose daemon is killed: nothing of it is visible, what was finished is in the cache, and nothing runs on."""

import threading
import time
from pathlib import Path

import pytest

from tests.harness.clients import await_true
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

"""A commit whose daemon is killed: the container goes on, and the store holds the whole image or no trace of it."""

import threading
import time

import pytest

from tests.harness import streams
from tests.harness.clients import await_true
from tests.harness.engine import Engine

FILL = (
    "mkdir /data; i=0; while [ $i -lt 300 ]; do echo $i > /data/$i; i=$((i+1)); done; "
    "dd if=/dev/urandom of=/data/big bs=1M count=60 2>/dev/null; "
    "while :; do i=$((i+1)); echo $i; sleep 0.05; done"
)


def count(engine: Engine) -> int:
    return len(streams.logs(engine, "writer")[0].split())


def orphans(engine: Engine) -> list[str]:
    """What lies in the store and belongs to no image."""
    images = engine.api("GET", "/images/json").json()
    used = set()
    for image in images:
        data = engine.api("GET", f"/images/{image['Id']}/json").json()["GraphDriver"]["Data"]
        used.update(path.rpartition("/")[2] for word in data.values() for path in word.split(":"))
    left = [path.name for path in (engine.data_root / "layers").iterdir() if path.name not in used]
    return left + [path.name for path in (engine.data_root / "images/ingest").iterdir()]


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.1, 0.25, 0.5])
def test_killed_in_a_commit(fresh_daemon: Engine, delay: float) -> None:
    engine = fresh_daemon
    engine.launch("writer", Cmd=["sh", "-c", FILL], HostConfig={"NetworkMode": "none"}, StopSignal="SIGKILL")
    await_true("the writer writes", lambda: count(engine) > 0, 30)
    acknowledged: list[int] = []

    def commit() -> None:
        try:
            answer = engine.api("POST", "/commit", query={"container": "writer", "repo": "im", "tag": "killed"})
            acknowledged.append(answer.status)
        except OSError:
            pass  # the daemon is gone

    thread = threading.Thread(target=commit)
    thread.start()
    time.sleep(delay)
    engine.kill9()
    thread.join()
    engine.start()
    state = engine.inspect("writer")["State"]
    assert (state["Status"], state["Paused"]) == ("running", False)
    before = count(engine)
    await_true("the writer goes on", lambda: count(engine) > before)
    assert not orphans(engine)
    assert not list((engine.data_root / "containers").glob("*/frozen"))
    found = engine.api("GET", "/images/im:killed/json").status
    assert found == 200 or acknowledged != [201]
    again = engine.api("POST", "/commit", query={"container": "writer", "repo": "im", "tag": "again"})
    assert again.status == 201
    assert engine.inspect("writer")["State"]["Status"] == "running"

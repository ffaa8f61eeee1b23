"""A data root without room: what cannot be done says so, what runs goes on, and removing works."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import load_busybox
from tests.harness import registry as registries
from tests.harness.clients import await_true
from tests.harness.engine import Engine


@pytest.fixture
def small(new_engine: Callable[..., Engine], registry: registries.Registry) -> Iterator[Engine]:
    """A daemon with a data root of 40 MB and a container named live."""
    engine = new_engine()
    engine.data_root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=710", "small", engine.data_root], check=True)
    engine.start()
    load_busybox(engine, registry)
    engine.launch("live", Cmd=["sh", "-c", "while :; do echo a line; sleep 0.1; done"])
    yield engine


def fill(engine: Engine) -> None:
    with open(engine.data_root / "ballast", "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_no_room(small: Engine) -> None:
    fill(small)
    answer = small.api("POST", "/containers/create", {"Image": "busybox"}, query={"name": "new"})
    assert answer.status == 500 and answer.message.endswith("no space left on device"), answer.body
    assert small.api("GET", "/containers/new/json").status == 404
    assert small.inspect("live")["State"]["Running"]
    assert small.api("POST", "/containers/live/stop", query={"t": 0}).status == 204
    small.kill9()
    small.start()
    state = small.inspect("live")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    assert small.api("DELETE", "/containers/live").status == 204
    assert "overlayfs cannot be used" not in small.tail()
    assert "Traceback" not in small.tail(1000)


def test_room_again(small: Engine) -> None:
    fill(small)
    assert small.api("POST", "/containers/create", {"Image": "busybox"}).status == 500
    (small.data_root / "ballast").unlink()
    assert small.wait(small.launch(Cmd=["sh", "-c", "exit 3"])) == 3
    await_true("the log goes on", lambda: b"a line" in small.api("GET", "/containers/live/logs?stdout=1&tail=1").body)

"""Builds whose client goes away: nothing of them is left, and nobody else's build is the worse for it."""

import http.client
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.clients import API, await_true
from tests.harness.contexts import build, context, run
from tests.harness.engine import Engine

pytestmark = pytest.mark.root


def abandon(engine: Engine, archive: bytes, seconds: float) -> None:
    """Send a build and hang up."""
    connection = engine.connect(timeout=30)
    connection.putrequest("POST", f"/{API}/build?nocache=0")
    connection.putheader("Content-Type", "application/x-tar")
    connection.putheader("Content-Length", str(len(archive)))
    connection.endheaders()
    connection.send(archive)
    connection.sock.settimeout(seconds)
    try:
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass
    connection.close()


def nothing_is_left(engine: Engine) -> None:
    root = engine.data_root
    for place in (root / "containers", root / "rw", root / "tmp", root / "images/ingest"):
        await_true(f"nothing in {place}", lambda place=place: not list(place.iterdir()), 15)
    assert not list(Path(engine.exec_root / "build-secrets").iterdir())
    assert "Traceback" not in engine.log.read_text()


@pytest.mark.parametrize("seconds", [0.001, 0.03, 0.1, 0.2, 0.4, 0.8])
def test_a_client_that_hangs_up(scratch: Engine, seconds: float) -> None:
    text = f"FROM busybox\nCOPY . /c\nRUN cp -r /c /d; cp -r /c /e; echo {seconds}\nRUN sleep 600\n"
    files: dict[str, str | bytes] = {"Dockerfile": text, **{f"big{n}": os.urandom(2 << 20) for n in range(6)}}
    abandon(scratch, context(files), seconds)
    nothing_is_left(scratch)
    assert scratch.api("GET", "/containers/json", query={"all": "1"}).json() == []


def test_who_waits_for_a_step_of_somebody_that_hangs_up_gets_it(scratch: Engine) -> None:
    """The step needs the files of the one who has begun it."""
    text = "FROM busybox\nCOPY f /f\nRUN --mount=type=bind,source=g,target=/g sleep 1; cat /f /g > /made\n"
    archive = context({"Dockerfile": text, "f": os.urandom(8).hex(), "g": "bound\n"})
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(abandon, scratch, archive, 0.5)
        time.sleep(0.2)
        others = [pool.submit(build, scratch, archive) for _ in range(2)]
        first.result()
        images = {other.result().image for other in others}
    assert len(images) == 1 and run(scratch, images.pop(), "cat /made").endswith("bound\n")
    nothing_is_left(scratch)


def test_builds_that_begin_and_end_all_the_time(scratch: Engine) -> None:
    text = "FROM busybox AS a\nRUN echo {0} > /a; sleep 0.2\nFROM busybox\nCOPY --from=a /a /\nCOPY f /f\nRUN cat /a > /b\n"
    stop = threading.Event()

    def restless(number: int) -> None:
        while not stop.is_set():
            archive = context({"Dockerfile": text.format(number % 2), "f": os.urandom(1 << 20)})
            abandon(scratch, archive, 0.05 + 0.15 * (number % 4))

    with ThreadPoolExecutor(3) as pool:
        for number in range(3):
            pool.submit(restless, number)
        try:
            for number in range(3):
                archive = context({"Dockerfile": text.format(number % 2), "f": f"{number}\n"})
                assert run(scratch, build(scratch, archive).image, "cat /b /f") == f"{number % 2}\n{number}\n"
        finally:
            stop.set()
    nothing_is_left(scratch)

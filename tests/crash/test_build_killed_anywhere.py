"""A daemon that is killed anywhere in a build: while it takes in the context, parses, pulls, copies, runs, keeps a layer, ends.

Nothing of the build is visible then, what was finished for a while is in the cache, and no process, mount, control group,
namespace or file is left. SCOW_TEST_KILLS=N kills at all of them and N more at random (4 s each).
"""

import base64
import http.client
import json
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.harness import leaks
from tests.harness.clients import API, await_true
from tests.harness.contexts import build, context, run
from tests.harness.engine import Engine
from tests.harness.registry import Registry

MORE = int(os.environ.get("SCOW_TEST_KILLS", "0"))
BATCH = 25  # kills of one daemon's root
PULL = "Pulling from"
TOKEN = "s3cr3t-" + os.urandom(12).hex()
DOCKERFILE = """FROM {base} AS one
ARG ROUND
COPY big /big
RUN echo $ROUND > /one; dd if=/dev/urandom of=/r bs=1M count=4 2>/dev/null; echo writ''ten
RUN --mount=type=secret,id=s,env=S --mount=type=cache,target=/c test ${{#S}} -gt 9 && touch /c/$ROUND && sleep 0.2
FROM {base} AS two
ARG ROUND
WORKDIR /w
RUN echo $ROUND > /two; sleep 0.2
FROM {base}
COPY --from=one /one /r /big/
COPY --from=two /two /
ARG HOLD=0
RUN cat /big/one /two > /both; sleep $HOLD
"""
STEPS = DOCKERFILE.count("\n")
HEADER = base64.b64encode(json.dumps({"s": base64.b64encode(TOKEN.encode()).decode()}).encode()).decode()
SURE = 2.0  # seconds after which a finished step is on the disk, beside other work


@dataclass
class Kill:
    """`share` of the context that is sent; the daemon dies then, or `pause` seconds after `text` was told ("" for anything that
    the end of the context brings). The last step takes `hold` seconds more.
    """

    text: str = ""
    pause: float = 0.0
    share: float = 1.0
    hold: int = 0
    steps: dict[int, float] = field(default_factory=dict)
    at: float = 0.0
    said: bytes = field(default=b"", repr=False)

    def finished(self) -> set[int]:
        """Steps that were over for long enough."""
        begun = [number for number, when in self.steps.items() if when < self.at - SURE]
        return set(range(1, max(begun, default=1)))


MOMENTS: tuple[Callable[[], Kill], ...] = (
    lambda: Kill(share=random.random()),
    lambda: Kill(pause=random.uniform(0, 0.05)),
    lambda: Kill(PULL, random.uniform(0, 0.2)),
    lambda: Kill(": COPY big", random.uniform(0, 0.15)),
    lambda: Kill("Running in", random.uniform(0, 0.1)),
    lambda: Kill("written", random.uniform(0, 0.3)),
    lambda: Kill(f"Step {STEPS}/", random.uniform(0, 0.4)),
    lambda: Kill(f"Step {STEPS}/", SURE + 0.5, hold=60),
    lambda: Kill("Successfully built", 0),
    lambda: Kill(pause=random.uniform(0, 2)),
)


def begin(engine: Engine, archive: bytes, number: int, kill: Kill) -> None:
    """Send the build, watch it, and kill the daemon at the moment."""
    arguments = json.dumps({"ROUND": str(number), "HOLD": str(kill.hold)}).replace('"', "%22").replace(" ", "%20")
    connection = engine.connect(timeout=200)
    connection.putrequest("POST", f"/{API}/build?t=b/killed&pull={int(kill.text == PULL)}&buildargs={arguments}")
    connection.putheader("Content-Type", "application/x-tar")
    connection.putheader("Content-Length", str(len(archive)))
    connection.putheader("X-Scow-Build-Secrets", HEADER)
    connection.endheaders()
    connection.send(archive[: int(len(archive) * kill.share)])
    timer = threading.Timer(kill.pause, engine.kill9) if not kill.text else None
    if timer is not None:
        timer.start()
    said = b""
    try:
        if kill.share < 1:
            return
        answer = connection.getresponse()
        while piece := answer.read1(1 << 16):
            said += piece
            for step in re.finditer(rb"Step (\d+)/", said):
                kill.steps.setdefault(int(step[1]), time.monotonic())
            if timer is None and kill.text.encode() in said:
                time.sleep(kill.pause)
                engine.kill9()
                timer = threading.Timer(0, lambda: None)
    except (OSError, http.client.HTTPException):
        pass  # the daemon is gone
    finally:
        connection.close()
        if timer is not None and timer.ident is not None:
            timer.join()
        if engine.process is not None:  # the build was over before its moment came
            engine.kill9()
        kill.at, kill.said = time.monotonic(), said


def cached(text: str) -> set[int]:
    """The numbers of the steps that came from the cache."""
    return {int(step[1]) for step in re.finditer(r"Step (\d+)/[^\n]*\n ---> Using cache", text)}


def nothing_is_left(engine: Engine) -> None:
    root, run_root = engine.data_root, engine.exec_root
    places = (root / "containers", root / "rw", root / "tmp", root / "images/ingest", run_root / "build-secrets")
    for place in places:
        await_true(f"nothing in {place}", lambda place=place: not list(place.iterdir()), 10)
    found = subprocess.run(["grep", "-rlaF", TOKEN, str(engine.base)], capture_output=True, text=True).stdout
    assert found == "", f"the secret is in {found}"


@pytest.fixture
def archive(registry: Registry) -> bytes:
    text = DOCKERFILE.format(base=f"{registry.address}/library/busybox")
    return context({"Dockerfile": text, "big/file": os.urandom(4 << 20), **{f"big/{n}": str(n) for n in range(300)}})


@pytest.mark.parametrize("batch", range(1 + -(-MORE // BATCH)))
def test_killed_anywhere(fresh_daemon: Engine, archive: bytes, batch: int) -> None:
    engine = fresh_daemon
    seed = int(os.environ.get("SCOW_TEST_SEED", "0")) or random.randrange(1 << 30)
    random.seed(seed)
    whole = build(engine, archive, buildargs={"ROUND": "first"}, headers={"X-Scow-Build-Secrets": HEADER})
    assert whole.image
    engine.restart()
    run(engine, whole.image, "true")  # what the daemon keeps ready is there from now on
    before = leaks.at_rest(engine)
    before["veths"] += 100  # they are not of this daemon alone
    chosen = random.choices(MOMENTS, k=min(BATCH, MORE - (batch - 1) * BATCH)) if batch else list(MOMENTS)
    if not MORE:
        chosen = random.sample(chosen, 4)
    kills = [make() for make in chosen]
    hits, checked = 0, 0
    for number, kill in enumerate(kills):
        where = f"seed {seed}, kill {number}: {kill}"
        begin(engine, archive, number, kill)
        secret = subprocess.run(["grep", "-rlaF", TOKEN, str(engine.data_root)], capture_output=True, text=True).stdout
        assert secret == "", where
        engine.start(timeout=60)
        nothing_is_left(engine)
        named = engine.api("GET", "/images/b/killed/json").status
        assert named == 404 or kill.text == "Successfully built" or len(kill.steps) == STEPS, where
        assert engine.api("GET", "/containers/json", query={"all": "1"}).json() == [], where
        assert kill.share < 1 or not kill.text or kill.text.encode() in kill.said, f"{where}: {kill.said[-500:]!r}"
        again = build(
            engine,
            archive,
            t="b/killed",
            buildargs={"ROUND": str(number)},
            headers={"X-Scow-Build-Secrets": HEADER},
            timeout=200,
        )
        assert run(engine, again.image, "cat /both") == f"{number}\n{number}\n", where
        wanted = {step for step in kill.finished() if step not in (1, 6, 10)}  # FROM says nothing of a cache
        assert wanted <= cached(again.text), f"{where}\n{again.text}"
        hits, checked = hits + len(cached(again.text)), checked + len(wanted)
        engine.api("DELETE", "/images/b/killed", query={"force": "1"})
    leaks.settle(engine, before)
    nothing_is_left(engine)
    whole_again = engine.scow("system", "check", timeout=120)
    assert whole_again.returncode == 0, whole_again.stdout + whole_again.stderr
    print(f"{len(kills)} kills, {hits} steps from the cache at the next try, {checked} of them had to be")

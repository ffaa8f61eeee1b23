"""kill -9 at random points of pull, load, commit and rmi: the next daemon has every image that was acknowledged, its
store is whole, and nothing is left that belongs to nothing.

SCOW_CRASH_POINTS sets the number of kills (default 10), SCOW_CRASH_SEED their places.
"""

import http.client
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness.archives import Made, docker_archive, tar
from tests.harness.clients import await_true
from tests.harness.engine import Engine
from tests.harness.registry import Image, Registry

POINTS = int(os.environ.get("SCOW_CRASH_POINTS", "10"))
SEED = int(os.environ.get("SCOW_CRASH_SEED", "20261124"))


def layer(seed: str, files: int = 150) -> bytes:
    return tar({f"{seed}/{number}": f"{seed}{number}".encode() * 1500 for number in range(files)})


class Story:
    """What was done, what was acknowledged, and so what must be there."""

    def __init__(self, engine: Engine, registry: Registry, directory: Path) -> None:
        self.engine, self.registry, self.directory = engine, registry, directory
        self.base = self.tags()
        self.there = set(self.base)
        self.unsure: set[str] = set()
        self.number = 0

    def tags(self) -> set[str]:
        return {tag for image in self.engine.api("GET", "/images/json").json() for tag in image["RepoTags"]}

    def pull(self) -> tuple[str, Callable[[], bool]]:
        name = f"crash{self.number}"
        self.registry.push(name, Image([layer("common"), layer(f"a{name}"), layer(f"b{name}")]))
        full = f"{self.registry.address}/{name}"

        def work() -> bool:
            answer = self.engine.api("POST", "/images/create", query={"fromImage": full, "tag": "latest"}, timeout=30)
            return answer.status == 200 and b"Status:" in answer.body and b"errorDetail" not in answer.body

        return f"+{full}:latest", work

    def load(self) -> tuple[str, Callable[[], bool]]:
        name = f"loaded{self.number}:1"
        path = self.directory / "load.tar"
        path.write_bytes(docker_archive(Made([layer("common"), layer(f"l{name[:-2]}")], [name])))
        return f"+{name}", lambda: self.engine.scow("load", "-i", str(path), timeout=30).returncode == 0

    def commit(self) -> tuple[str, Callable[[], bool]]:
        name = f"committed{self.number}"
        query: dict[str, Any] = {"container": "source", "repo": name, "tag": "1"}
        work = lambda: self.engine.api("POST", "/commit", {}, query=query, timeout=30).status == 201  # noqa: E731
        return f"+{name}:1", work

    def rmi(self) -> tuple[str, Callable[[], bool]]:
        names = sorted(self.there - self.base)
        if not names:
            return self.load()
        name = random.Random(self.number).choice(names)
        return f"-{name}", lambda: self.engine.scow("rmi", name, timeout=30).returncode == 0

    def perform(self, kind: str, kill_after: float | None) -> float:
        """One operation, the daemon killed `kill_after` seconds into it (None: not at all). How long it took."""
        self.number += 1
        what, work = getattr(self, kind)()
        sign, name = what[0], what[1:]
        self.there.discard(name)
        self.unsure.add(name)
        acknowledged: list[bool] = []

        def run() -> None:
            try:
                acknowledged.append(work())
            except (OSError, http.client.HTTPException):
                acknowledged.append(False)

        thread = threading.Thread(target=run)
        begun = time.monotonic()
        thread.start()
        if kill_after is not None:
            time.sleep(kill_after)
            self.engine.kill9()
        thread.join()
        took = time.monotonic() - begun
        if acknowledged == [True]:
            self.unsure.discard(name)
            if sign == "+":
                self.there.add(name)
        if kill_after is None:
            assert acknowledged == [True], f"{kind} of {name} failed: {self.engine.tail()}"
        return took

    def verify(self, context: str) -> None:
        tags = self.tags()
        assert self.there <= tags, f"{context}: lost {self.there - tags}"
        assert tags <= self.there | self.unsure, f"{context}: {tags - self.there - self.unsure} came back"
        report = self.engine.api("POST", "/scow/system/check", version=None, timeout=60).json()
        assert report["Findings"] == [], f"{context}: {report}\n{self.engine.tail()}"


def on_disk(engine: Engine) -> list[str]:
    """What lies below the data root of images: blobs, layers, scratch files, trash."""
    root = engine.data_root
    places = ("images/blobs/sha256", "images/ingest", "layers", "tmp", "trash", "rw")
    return [f"{place}/{name}" for place in places for name in sorted(os.listdir(root / place))]


def test_images_survive_kills_of_the_daemon(fresh_daemon: Engine, registry: Registry, tmp_path: Path) -> None:
    engine = fresh_daemon
    engine.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"]}, query={"name": "source"})
    story = Story(engine, registry, tmp_path)
    kinds = ("pull", "load", "commit", "rmi")
    took = {kind: story.perform(kind, None) for kind in kinds}
    chance = random.Random(SEED)
    for point in range(POINTS):
        kind = kinds[point % len(kinds)]
        delay = chance.uniform(0, took[kind])
        story.perform(kind, delay)
        engine.start()
        story.verify(f"kill {point} (seed {SEED}): {kind} after {delay:.3f} s of {took[kind]:.3f}")

    # everything away: nothing is left, in the books and on the disk
    assert engine.scow("rm", "-f", "source").returncode == 0
    for image in engine.api("GET", "/images/json", query={"all": 1}).json():
        engine.scow("rmi", "-f", image["Id"])
    usage = engine.api("GET", "/system/df").json()
    assert (usage["LayersSize"], usage["Images"]) == (0, [])
    engine.restart()
    await_true(
        "nothing is left on the disk", lambda: not [name for name in on_disk(engine) if not name.endswith(".partial")]
    )

"""`build --verify`: an image is built once more and compared."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.harness.clients import Clients
from tests.harness.contexts import build, context
from tests.harness.engine import Engine

pytestmark = pytest.mark.root

DOCKERFILE = """FROM busybox
ARG V=1
ENV V=$V
COPY a /a
RUN echo x > /x && mkdir /d
LABEL l=1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "a").write_text("A\n")
    os.utime(tmp_path / "a", (1_750_000_000, 1_750_000_000))
    return tmp_path


def verify(engine: Clients, root: Path, *flags: str, code: int = 1) -> dict[str, Any]:
    done = engine.scow("build", "--verify", "v/image", "--format", "json", *flags, str(root))
    assert done.returncode == code, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def changed(found: dict[str, Any]) -> dict[int, dict[str, list[str]]]:
    """What differs: by layer and path."""
    return {
        layer["Number"]: {file["Path"]: [one["What"] for one in file["Deviations"]] for file in layer["Files"]}
        for layer in found["Layers"]
    }


def test_an_image_agrees_and_nothing_is_left(scratch: Engine, root: Path) -> None:
    scratch.scow("build", "-t", "v/image", str(root), check=True)
    cache = scratch.api("GET", "/system/df").json()["BuildCache"]
    images = scratch.api("GET", "/images/json").json()
    layers = sorted(os.listdir(scratch.data_root / "layers"))
    blobs = sorted(os.listdir(scratch.data_root / "images/blobs/sha256"))
    found = verify(scratch, root, code=0)
    assert (found["Image"], found["Agrees"], found["Expected"]) == ("v/image", True, found["Built"])
    assert found["Expected"]["ID"] == scratch.api("GET", "/images/v/image/json").json()["Id"]
    (root / "a").write_text("B\n")
    said = scratch.scow("build", "--verify", "v/image", str(root))
    assert said.returncode == 1 and "  /a: mtime 1750000000 → " in said.stdout and ", content\n" in said.stdout
    assert "Running in" in said.stdout  # without the cache
    assert scratch.api("GET", "/system/df").json()["BuildCache"] == cache
    assert scratch.api("GET", "/images/json").json() == images
    assert sorted(os.listdir(scratch.data_root / "layers")) == layers
    assert sorted(os.listdir(scratch.data_root / "images/blobs/sha256")) == blobs


@pytest.mark.parametrize(
    ("dockerfile", "differs"),
    [
        (DOCKERFILE.replace("echo x", "echo y"), {3: {"/x": ["content"]}}),
        (DOCKERFILE.replace("/d\n", "/d && chmod 700 /d && chown 3 /x\n"), {3: {"/d": ["mode"], "/x": ["owner"]}}),
        (
            DOCKERFILE.replace("/d\n", "/e && touch -t 202001010000 /x\n"),
            {3: {"/d": ["missing"], "/e": ["extra"], "/x": ["mtime"]}},
        ),
        (DOCKERFILE.replace("COPY a /a", "COPY --chmod=600 a /a"), {2: {"/a": ["mode"]}}),
        (DOCKERFILE + "RUN echo more > /more\n", {4: {}}),
        (DOCKERFILE.replace("RUN echo x > /x && mkdir /d\n", ""), {3: {}}),
        (DOCKERFILE.replace("V=1", "V=2"), {}),
    ],
)
def test_what_differs_is_named(clean: Clients, root: Path, dockerfile: str, differs: dict[int, Any]) -> None:
    clean.scow("build", "-t", "v/image", str(root), check=True)
    (root / "Dockerfile").write_text(dockerfile)
    found = verify(clean, root)
    assert changed(found) == differs
    if "V=2" in dockerfile:
        assert {"config.Env[1]", "history[2].created_by"} <= {one["What"] for one in found["Config"]}
    clean.api("DELETE", "/images/v/image")


def test_a_time_that_was_asked_for(clean: Clients, root: Path) -> None:
    epoch = {"SOURCE_DATE_EPOCH": "1600000000"}
    clean.scow("build", "-t", "v/image", str(root), check=True, env=epoch)
    os.utime(root / "a")
    assert clean.scow("build", "--verify", "v/image", str(root), env=epoch).returncode == 0
    said = clean.scow("build", "--verify", "v/image", str(root)).stdout
    assert said.endswith("perhaps it was built with SOURCE_DATE_EPOCH=1600000000.\n")
    clean.api("DELETE", "/images/v/image")


def test_refusals(clean: Clients, root: Path) -> None:
    assert "No such image: no/such" in clean.scow("build", "--verify", "no/such", str(root)).stderr
    for flag in ("-t x", "-q", "--push", "-o -", "--cache-from x"):
        told = clean.scow("build", "--verify", "busybox", *flag.split(), str(root))
        assert (told.returncode, "and --verify cannot be used together" in told.stderr) == (1, True), flag
    sent, tar = context({"Dockerfile": DOCKERFILE}), {"Content-Type": "application/x-tar"}
    for query in ({}, {"image": "busybox", "t": "x"}, {"image": "busybox", "outputs": '[{"Type":"tar"}]'}):
        assert clean.api("POST", "/scow/build/verify", sent, query=query, headers=tar).status == 400
    failed = clean.scow("build", "--verify", "busybox", "-", input="FROM busybox\nRUN exit 4\n")
    assert failed.returncode == 4


def test_an_image_of_another_base(clean: Clients) -> None:
    """Also what was made from nothing, and what is its base alone."""
    made = build(clean, context({"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": "x"}), t="v/scratch").image
    sent = context({"Dockerfile": "FROM busybox\n"})
    answer = clean.api(
        "POST", "/scow/build/verify", sent, query={"image": "v/scratch"}, headers={"Content-Type": "application/x-tar"}
    )
    verdict = json.loads(answer.body.splitlines()[-1])["aux"]["Verdict"]
    assert (verdict["Agrees"], verdict["Expected"]["ID"]) == (False, made)
    base = clean.api("GET", "/images/busybox/json").json()["Id"]
    assert verdict["Built"]["ID"] == base
    clean.api("DELETE", "/images/v/scratch")

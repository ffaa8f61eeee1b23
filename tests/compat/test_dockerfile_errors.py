"""A Dockerfile that cannot be built is refused before anything is built, in the words of Docker's daemon."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.harness.clients import Clients

BAD = sorted((Path(__file__).parents[1] / "golden/dockerfiles/bad").glob("*.dockerfile"))


def build(engine: Clients, dockerfile: bytes) -> tuple[int, bytes]:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        archive.addfile(info, io.BytesIO(dockerfile))
    answer = engine.api(
        "POST", "/build", context.getvalue(), query={"version": "1"}, headers={"Content-Type": "application/x-tar"}
    )
    return answer.status, answer.body


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_dockerfile_is_refused(daemon: Clients, path: Path) -> None:
    status, body = build(daemon, path.read_bytes())
    assert (status, json.loads(body)["message"]) == (400, json.loads(path.with_suffix(".json").read_text())["message"])


def test_a_check_may_end_a_build(daemon: Clients) -> None:
    status, body = build(daemon, b"# check=error=true\nFROM busybox\nMAINTAINER me\n")
    assert (status, json.loads(body)["message"]) == (400, "lint violation found for rules: MaintainerDeprecated")

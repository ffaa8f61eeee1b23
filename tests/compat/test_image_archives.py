"""Archives between scow, skopeo and podman: each reads what the other wrote, and the image is the same one."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.archives import Made, docker_archive, layer
from tests.harness.contexts import build
from tests.harness.engine import Engine

IMAGE = Made([layer("one"), layer("two", 400_000)], ["archived/app:1"], {"Cmd": ["sh"], "Labels": {"a": "b"}})


def tool(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture
def saved(scratch: Engine, tmp_path: Path) -> Iterator[Path]:
    """IMAGE as scow saves it."""
    path = tmp_path / "in.tar"
    path.write_bytes(docker_archive(IMAGE))
    assert scratch.out("load", "-i", str(path)) == "Loaded image: archived/app:1"
    out = tmp_path / "saved.tar"
    scratch.out("save", "-o", str(out), "archived/app:1")
    yield out
    scratch.scow("rmi", "-f", IMAGE.id)


def loaded_id(engine: Engine, path: Path) -> str:
    engine.scow("rmi", "-f", IMAGE.id)
    engine.out("load", "-i", str(path))
    return str(engine.api("GET", f"/images/{IMAGE.id}/json").json()["Id"])


@pytest.mark.skipif(not shutil.which("skopeo"), reason="no skopeo on this machine")
def test_skopeo(scratch: Engine, saved: Path, tmp_path: Path) -> None:
    raw = json.loads(tool("skopeo", "inspect", "--raw", f"oci-archive:{saved}:1"))
    assert raw["config"]["digest"] == IMAGE.id
    tool("skopeo", "inspect", f"docker-archive:{saved}:archived/app:1")
    for kind in ("docker-archive", "oci-archive"):
        again = tmp_path / f"{kind}.tar"
        source = f"docker-archive:{saved}:archived/app:1" if kind == "docker-archive" else f"oci-archive:{saved}:1"
        tool("skopeo", "copy", "-q", source, f"{kind}:{again}:archived/app:1")
        assert loaded_id(scratch, again) == IMAGE.id, kind


@pytest.mark.skipif(not shutil.which("podman"), reason="no podman on this machine")
def test_podman(scratch: Engine, saved: Path, tmp_path: Path) -> None:
    podman = ("podman", "--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs")
    tool(*podman, "load", "-i", str(saved))
    (listed,) = json.loads(tool(*podman, "images", "--format", "json", "--no-trunc"))
    assert f"sha256:{listed['Id'].removeprefix('sha256:')}" == IMAGE.id
    again = tmp_path / "podman.tar"
    tool(*podman, "save", "-o", str(again), listed["Id"])
    assert loaded_id(scratch, again) == IMAGE.id


@pytest.mark.usefixtures("needs_docker")
def test_both_clis_send_and_take_the_same_bytes(scratch: Engine, saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "docker.tar"
    assert scratch.docker("save", "-o", str(other), "archived/app:1").returncode == 0
    assert other.read_bytes() == saved.read_bytes()
    for cli in (scratch.docker, scratch.scow):
        assert cli("load", "-i", str(saved)).stdout == "Loaded image: archived/app:1\n"
        missing = cli("load", "-i", f"{tmp_path}/nosuch")
        assert (missing.returncode, missing.stderr) == (1, f"open {tmp_path}/nosuch: no such file or directory\n")
        unknown = cli("save", "nosuch", "-o", f"{tmp_path}/x")
        assert unknown.stderr == "Error response from daemon: No such image: nosuch\n"
        (tmp_path / "bad").write_bytes(b"hello")
        assert cli("load", "-i", f"{tmp_path}/bad").returncode == 1
        assert cli("save", "archived/app:1", "-o", f"{tmp_path}/nowhere/x").returncode == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("needs_docker")
def test_both_clis_tell_the_same_disk_usage(scratch: Engine, saved: Path) -> None:
    for number in range(3):  # rows of the build cache
        made = build(scratch, f"FROM archived/app:1\nCOPY Dockerfile /{number}\nENV A={number}\n")
        assert made.image
    for words in (("df",), ("df", "-v"), ("df", "--format", "{{json .}}"), ("df", "-v", "--format", "{{json .}}")):
        for _ in range(4):  # ages are told in seconds, and one may pass between the two
            # docker 28 leaves Parent empty in JSON when the record has Parents
            answers = {
                re.sub(r'"Parent":"[^"]*"', "", cli("system", *words).stdout) for cli in (scratch.docker, scratch.scow)
            }
            if len(answers) == 1:
                break
        assert len(answers) == 1, answers


@pytest.mark.usefixtures("needs_docker")
def test_both_clis_prune_everything(scratch: Engine, saved: Path) -> None:
    for cli in (scratch.docker, scratch.scow):
        scratch.out("load", "-i", str(saved))
        done = cli("system", "prune", "-a", "-f", "--filter", "label=a=b")
        assert done.returncode == 0 and "untagged: archived/app:1" in done.stdout and IMAGE.id in done.stdout, done

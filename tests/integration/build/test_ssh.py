"""RUN --mount=type=ssh: the client's keys are used by a step, and are nowhere afterwards."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.clients import Clients
from tests.harness.contexts import build, context, run
from tests.harness.engine import Engine

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("ssh-agent"), reason="needs openssh-client")]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the-comment", "-f", str(path)], check=True)
    return path


def _dockerfile(root: Path, mounts: str) -> Path:
    (root / "c").mkdir()
    (root / "c/Dockerfile").write_text(
        f"FROM busybox\nRUN {mounts} env | grep SSH_AUTH > /env; test -S $SSH_AUTH_SOCK\n"
    )
    return root / "c"


def test_a_key_of_a_file_reaches_the_step_and_stays_nowhere(scratch: Engine, key: Path, tmp_path: Path) -> None:
    root = _dockerfile(tmp_path, "--mount=type=ssh,id=k,mode=0666 --mount=type=ssh,id=k,target=/other")
    said = scratch.scow("build", "--network", "none", "--ssh", f"k={key}", "-t", "b/ssh", str(root), check=True)
    assert run(scratch, "b/ssh", "cat /env; ls /run/buildkit 2>&1 | wc -l; env | grep -c SSH; true").split("\n")[0] == (
        "SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0"
    )
    secret = key.read_text().split("\n")[2]
    history = scratch.api("GET", "/images/b/ssh/history").body.decode()
    assert secret not in said.stdout + history + scratch.tail(1000) and "buildkit" not in history
    assert "Using cache" in scratch.scow("build", "--network", "none", str(root), check=True).stdout
    assert list((scratch.exec_root / "build-secrets").iterdir()) == []


def test_an_agent_is_needed_only_where_it_is_required(clean: Clients, tmp_path: Path) -> None:
    optional = build(clean, "FROM busybox\nRUN --mount=type=ssh test -z $SSH_AUTH_SOCK\n", networkmode="none")
    assert not optional.error
    needed = build(clean, "FROM busybox\nRUN --mount=type=ssh,required true\n")
    assert needed.error == "unset ssh forward key default"
    unknown = build(clean, "FROM busybox\n", ssh={"default": "0" * 32})
    assert (unknown.status, unknown.error) == (404, "no such ssh agent of a build")
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    for words, error in (
        (["--ssh", "default"], "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set\n"),
        (["--ssh", "k=/no/such"], "failed to open /no/such: no such file or directory\n"),
        (["--ssh", "k=/etc/passwd"], None),
    ):
        failed = clean.scow("build", *words, str(tmp_path), env={"SSH_AUTH_SOCK": ""})
        assert failed.returncode == 1
        assert failed.stderr == error if error else failed.stderr.startswith("failed to parse /etc/passwd: ")


def test_a_cache_may_begin_with_files(clean: Clients) -> None:
    dockerfile = """
        FROM busybox AS start
        RUN mkdir /s && echo 1 > /s/a
        FROM busybox
        RUN --mount=type=cache,target=/c,id=begun,from=start,source=/s cat /c/a > /out; echo 2 > /c/a
        RUN --mount=type=cache,target=/c,id=begun,from=start,source=/s cat /c/a >> /out
    """
    said = build(clean, context({"Dockerfile": dockerfile}), nocache="1", networkmode="none")
    assert run(clean, said.image, "cat /out") == "1\n2\n"
    clean.api("POST", "/build/prune")

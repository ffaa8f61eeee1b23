"""What scow pushes, skopeo, podman and both CLIs read; what they push, scow pulls; digests are the same on both sides."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.engine import Engine
from tests.harness.registry import PASSWORD, USER, Registry, busybox

OPEN = ("--tls-verify=false",)


def tool(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def digest_at(registry: Registry, name: str) -> str:
    return str(json.loads(tool("skopeo", "inspect", *OPEN, f"docker://{registry.address}/{name}"))["Digest"])


@pytest.fixture
def source(scratch: Engine, registry: Registry) -> Iterator[str]:
    """An image of the daemon's, named `<registry>/pushed/NAME:1` for the test to push."""
    name = f"{registry.address}/pushed/app:1"
    scratch.out("tag", "busybox", name)
    yield name
    for image in (name, f"{registry.address}/pushed/app:2"):
        scratch.scow("rmi", image)


@pytest.fixture
def short() -> Iterator[Path]:
    """podman wants a run root of fewer than fifty characters."""
    with tempfile.TemporaryDirectory(prefix="scowt-", dir="/var/tmp") as folder:
        yield Path(folder)


needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="no skopeo on this machine")


@needs_skopeo
def test_digests_agree_with_skopeo(scratch: Engine, registry: Registry, source: str) -> None:
    lines = scratch.out("push", source).splitlines()
    assert lines[0] == f"The push refers to repository [{registry.address}/pushed/app]"
    digest = lines[-1].split()[2]
    assert lines[-1] == f"1: digest: {digest} size: {lines[-1].split()[-1]}"
    assert digest_at(registry, "pushed/app:1") == digest == digest_at(registry, "library/busybox:latest")
    found = scratch.api("GET", f"/images/{source}/json").json()
    assert f"{registry.address}/pushed/app@{digest}" in found["RepoDigests"]


@needs_skopeo
@pytest.mark.parametrize("form", ["v2s2", "oci"])
def test_what_skopeo_pushes(scratch: Engine, registry: Registry, form: str) -> None:
    name = f"{registry.address}/skopeo/{form}:1"
    both = ("--src-tls-verify=false", "--dest-tls-verify=false")
    original = f"docker://{registry.address}/library/busybox:latest"
    tool("skopeo", "copy", "-q", *both, "--format", form, original, f"docker://{name}")
    scratch.out("pull", "-q", name)
    scratch.out("tag", name, f"{registry.address}/again/{form}:1")
    pushed = scratch.out("push", f"{registry.address}/again/{form}:1")
    assert digest_at(registry, f"again/{form}:1") == digest_at(registry, f"skopeo/{form}:1") in pushed
    scratch.out("rmi", name, f"{registry.address}/again/{form}:1")


@needs_skopeo
@pytest.mark.skipif(not shutil.which("podman"), reason="no podman on this machine")
def test_podman_both_ways(scratch: Engine, registry: Registry, source: str, short: Path) -> None:
    podman = ("podman", "--root", f"{short}/root", "--runroot", f"{short}/run", "--storage-driver", "vfs")
    scratch.out("push", source)
    tool(*podman, "pull", "-q", *OPEN, source)
    (listed,) = json.loads(tool(*podman, "images", "--format", "json", "--no-trunc"))
    assert f"sha256:{listed['Id'].removeprefix('sha256:')}" == scratch.api("GET", f"/images/{source}/json").json()["Id"]
    theirs = f"{registry.address}/podman/app:1"
    tool(*podman, "push", "-q", *OPEN, listed["Id"], theirs)
    scratch.out("pull", "-q", theirs)
    (digest,) = [
        text for text in scratch.api("GET", f"/images/{theirs}/json").json()["RepoDigests"] if "/podman/" in text
    ]
    assert digest.partition("@")[2] == digest_at(registry, "podman/app:1")
    scratch.out("rmi", theirs)


@pytest.mark.usefixtures("needs_docker")
def test_both_clis_say_the_same(scratch: Engine, registry: Registry, source: str) -> None:
    scratch.out("push", "-q", source)  # from now on all of it is there
    again = [cli("push", source, check=True).stdout for cli in (scratch.scow, scratch.docker)]
    assert again[0] == again[1] and ": Layer already exists\n" in again[0]
    other = f"{registry.address}/pushed/app:2"
    scratch.out("tag", source, other)
    every = [
        cli("push", "-a", f"{registry.address}/pushed/app", check=True).stdout for cli in (scratch.scow, scratch.docker)
    ]
    assert every[0] == every[1]
    assert [line.split()[0] for line in every[0].splitlines() if "digest:" in line] == ["1:", "2:"]
    for arguments in (
        ("push", f"{registry.address}/pushed/nothing"),
        ("push", f"{registry.address}/pushed/app:nothing"),
        ("push", "-q", f"{registry.address}/pushed/app:nothing"),
        ("push", "-a", source),
        ("push", "UPPER"),
        ("push", "x@sha256:" + "a" * 64),
    ):
        ours, theirs = scratch.scow(*arguments), scratch.docker(*arguments)
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr), (
            arguments
        )


@pytest.mark.usefixtures("needs_docker")
def test_login_of_one_cli_serves_the_other(scratch: Engine, password_registry: Registry) -> None:
    name = f"{password_registry.address}/private/app:1"
    scratch.out("tag", "busybox", name)
    server = password_registry.address
    try:
        for first, second in ((scratch.scow, scratch.docker), (scratch.docker, scratch.scow)):
            refused = second("push", name)
            assert refused.returncode == 1 and refused.stderr == "no basic auth credentials\n"
            wrong = first("login", "-u", USER, "--password-stdin", server, input="wrong")
            assert wrong.returncode == 1 and wrong.stderr == (
                "Error response from daemon: login attempt to "
                f"http://{server}/v2/ failed with status: 401 Unauthorized\n"
            )
            assert first("login", "-u", USER, "--password-stdin", server, input=PASSWORD).stdout == "Login Succeeded\n"
            config = Path(scratch.env["DOCKER_CONFIG"]) / "config.json"
            assert config.stat().st_mode & 0o077 == 0 and PASSWORD not in config.read_text()
            assert "digest: sha256:" in second("push", name, check=True).stdout
            assert second("logout", server).stdout == f"Removing login credentials for {server}\n"
            assert json.loads(config.read_text())["auths"] == {}
    finally:
        scratch.scow("rmi", name)
        scratch.scow("logout", server)
    assert PASSWORD not in scratch.tail(2000)  # CVE-2019-13509: no log has it


def test_docker_py_reads_the_stream(scratch: Engine, registry: Registry, source: str) -> None:
    docker = pytest.importorskip("docker")
    client = docker.DockerClient(base_url=scratch.host, version="1.45")
    repository, _, tag = source.rpartition(":")
    auth = {"username": "someone", "password": "anything"}
    steps = list(client.images.push(repository, tag=tag, stream=True, decode=True, auth_config=auth))
    (aux,) = [step["aux"] for step in steps if "aux" in step]
    assert aux["Tag"] == "1" and aux["Digest"].startswith("sha256:") and aux["Size"] > 0
    data = client.images.get_registry_data(source, auth_config=auth)
    assert data.id == aux["Digest"] and data.has_platform("linux/amd64")
    client.close()


def test_search_and_manifests(scratch: Engine, registry: Registry) -> None:
    for tag in ("b", "a", "c"):
        registry.push("tagged/app", busybox(), tag)
    assert sorted(scratch.out("search", "--tags", f"{registry.address}/tagged/app").splitlines()) == ["a", "b", "c"]
    shown = json.loads(scratch.out("manifest", "inspect", f"{registry.address}/tagged/app:a"))
    assert shown["schemaVersion"] == 2 and len(shown["layers"]) == 1
    told = json.loads(scratch.out("manifest", "inspect", "-v", f"{registry.address}/tagged/app:a"))
    assert told["Descriptor"]["platform"] == {"architecture": "amd64", "os": "linux"}
    missing = scratch.scow("manifest", "inspect", f"{registry.address}/tagged/app:z")
    assert (missing.returncode, missing.stderr) == (1, f"no such manifest: {registry.address}/tagged/app:z\n")

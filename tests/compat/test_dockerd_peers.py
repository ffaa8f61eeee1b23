"""Images between scow and a real Docker engine: each pulls what the other pushed and loads what the other saved, and it is
the same image, with the same digests on both sides. A scratch dockerd of Debian's docker.io, where there is one.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.engines import Docker
from tests.harness.archives import Made, docker_archive, layer
from tests.harness.engine import Engine
from tests.harness.registry import Registry

IMAGE = Made(
    [layer("base"), layer("large", 600_000), layer("last")],
    ["peers/app:1"],
    {"Cmd": ["sh"], "Env": ["A=b"], "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}},
    empty_steps=1,
)


_LIST = "find / -xdev -type f -o -type l | grep -v -e ^/etc/host -e ^/etc/resolv -e ^/etc/mtab -e ^/.dockerenv | sort"


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    if not (shutil.which("dockerd") and shutil.which("docker")):
        pytest.skip("no Docker engine on this machine")
    engine = Docker()
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(docker_archive(IMAGE))
    return path


@pytest.fixture(autouse=True)
def emptied(docker: Docker, scratch: Engine) -> Iterator[None]:
    """Neither has the image before and after."""
    yield
    docker.call("rmi", "-f", IMAGE.id, check=False)
    scratch.scow("rmi", "-f", IMAGE.id)


def pushed_digest(text: str) -> str:
    """From the last line: `1: digest: sha256:… size: …`."""
    return text.splitlines()[-1].split()[2]


def repo_digests(inspected: str) -> set[str]:
    return {name.partition("@")[2] for name in json.loads(inspected)[0]["RepoDigests"]}


def test_docker_pulls_what_scow_pushed(scratch: Engine, docker: Docker, registry: Registry, archive: Path) -> None:
    name = f"{registry.address}/peers/ours:1"
    scratch.out("load", "-q", "-i", str(archive))
    scratch.out("tag", IMAGE.id, name)
    digest = pushed_digest(scratch.out("push", name))
    docker.call("pull", "-q", name)
    found = docker.call("image", "inspect", name)
    assert json.loads(found)[0]["Id"] == IMAGE.id and repo_digests(found) == {digest}
    # by digest too, and pushed from there to another repository it is what scow pulls again
    docker.call("pull", "-q", f"{registry.address}/peers/ours@{digest}")
    other = f"{registry.address}/peers/theirs:1"
    docker.call("tag", name, other)
    again = pushed_digest(docker.call("push", other))
    scratch.out("rmi", "-f", IMAGE.id)
    scratch.out("pull", "-q", other)
    found = scratch.out("image", "inspect", other)
    assert json.loads(found)[0]["Id"] == IMAGE.id and repo_digests(found) == {again}


def test_scow_pulls_what_docker_pushed(scratch: Engine, docker: Docker, registry: Registry, archive: Path) -> None:
    name = f"{registry.address}/peers/docker:1"
    docker.call("load", "-q", "-i", str(archive))
    docker.call("tag", IMAGE.id, name)
    digest = pushed_digest(docker.call("push", name))
    scratch.out("pull", "-q", name)
    found = scratch.out("image", "inspect", name)
    assert json.loads(found)[0]["Id"] == IMAGE.id and repo_digests(found) == {digest}
    # what scow has pulled it pushes with the same bytes: the manifest is the same one
    other = f"{registry.address}/peers/again:1"
    scratch.out("tag", name, other)
    assert pushed_digest(scratch.out("push", other)) == digest


def test_archives_both_ways(scratch: Engine, docker: Docker, archive: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    scratch.out("load", "-q", "-i", str(archive))
    scratch.out("save", "-o", str(ours), "peers/app:1")
    assert docker.call("load", "-i", str(ours)) == "Loaded image: peers/app:1"
    inspected = json.loads(docker.call("image", "inspect", "peers/app:1"))[0]
    assert inspected["Id"] == IMAGE.id
    docker.call("save", "-o", str(theirs), "peers/app:1")
    scratch.out("rmi", "-f", IMAGE.id)
    assert scratch.out("load", "-i", str(theirs)) == "Loaded image: peers/app:1"
    here = json.loads(scratch.out("image", "inspect", "peers/app:1"))[0]
    for key in ("Id", "RootFS", "Created", "Architecture", "Os", "Author"):
        assert here[key] == inspected[key], key
    same = ("Cmd", "Env", "Labels", "ExposedPorts", "Entrypoint", "User", "WorkingDir", "Volumes", "StopSignal")
    assert {key: here["Config"].get(key) for key in same} == {key: inspected["Config"].get(key) for key in same}


def test_exports_both_ways(scratch: Engine, docker: Docker, registry: Registry, tmp_path: Path) -> None:
    """What one exports the other imports: the same tree, so the same layer when scow makes it twice."""
    docker.give(f"{registry.address}/library/busybox:latest", "busybox:latest")
    trees = []
    try:
        for engine in (scratch.out, docker.call):
            engine("create", "--name", "exported", "busybox", "true")
            engine("export", "-o", str(tmp_path / "tree.tar"), "exported")
            engine("rm", "exported")
            for importer in (scratch.out, docker.call):
                importer("import", str(tmp_path / "tree.tar"), "peers/imported:1")
                trees.append(
                    importer(
                        "run",
                        "--rm",
                        "--network",
                        "none",
                        "peers/imported:1",
                        "sh",
                        "-c",
                        _LIST,
                    )
                )
                importer("rmi", "peers/imported:1")
    finally:
        docker.call("rmi", "-f", "busybox:latest", f"{registry.address}/library/busybox:latest", check=False)
    lines = [set(tree.splitlines()) for tree in trees]
    assert all(each == lines[0] for each in lines), [each ^ lines[0] for each in lines]
    assert "/bin/busybox" in lines[0]

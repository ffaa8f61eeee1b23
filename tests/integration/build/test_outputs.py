"""What a build makes beside an image in the store: archives, directories, pushes."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.harness.clients import ROOT, Clients
from tests.harness.contexts import build, context
from tests.harness.registry import Registry

pytestmark = pytest.mark.root

FILES = """FROM busybox AS b
RUN mkdir -p /o/d && echo one > /o/d/f && chown -R 3:4 /o && chmod 4711 /o/d/f && ln -s /etc/passwd /o/l && mknod /o/n c 1 3
FROM scratch
COPY --from=b /o /
"""
IMAGE = 'FROM busybox\nRUN echo one > /one\nCMD ["x"]\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text(IMAGE)
    (tmp_path / "context/files").write_text(FILES)
    return tmp_path


def images(engine: Clients) -> list[str]:
    return sorted(image["Id"] for image in engine.api("GET", "/images/json", query={"all": "1"}).json())


def frames(body: bytes) -> tuple[list[dict[str, Any]], dict[int, bytes]]:
    """(progress, archives by output) of a framed answer."""
    text, archives, at = b"", {}, 0
    ended = set()
    while at < len(body):
        stream, number, size = body[at], body[at + 1], int.from_bytes(body[at + 4 : at + 8], "big")
        piece = body[at + 8 : at + 8 + size]
        at += 8 + size
        if stream == 2:
            text += piece
        elif piece:
            archives[number] = archives.get(number, b"") + piece
        else:
            ended.add(number)
    assert ended == set(archives)
    return [json.loads(line) for line in text.splitlines()], archives


def ask(engine: Clients, dockerfile: str, *outputs: dict[str, Any], **query: str) -> Any:
    return engine.api(
        "POST",
        "/build",
        context({"Dockerfile": dockerfile}),
        query={"outputs": json.dumps(outputs), **query},
        headers={"Content-Type": "application/x-tar"},
        timeout=60,
    )


def test_archives_through_the_api(clean: Clients) -> None:
    before = images(clean)
    wanted = [{"Type": "tar", "Attrs": {}}, {"Type": "docker", "Attrs": {"name": "out/x:1"}}, {"Type": "oci"}]
    answer = ask(clean, FILES, *wanted)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/vnd.docker.multiplexed-stream")
    progress, archives = frames(answer.body)
    assert "Step 4/4 : COPY --from=b /o /" in [message.get("stream") for message in progress]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as files:
        seen = {member.name: (member.mode, member.uid, member.type) for member in files}
    assert seen == {
        "d": (0o755, 3, tarfile.DIRTYPE),
        "d/f": (0o4711, 3, tarfile.REGTYPE),
        "l": (0o777, 0, tarfile.SYMTYPE),
        "n": (0o644, 0, tarfile.CHRTYPE),
    }
    with tarfile.open(fileobj=io.BytesIO(archives[2])) as layout:
        names = set(layout.getnames())
    assert {"index.json", "oci-layout"} <= names and "manifest.json" not in names
    assert images(clean) == before  # nothing of it is in the store
    loaded = clean.api("POST", "/images/load", archives[1], headers={"Content-Type": "application/x-tar"})
    assert b"Loaded image: out/x:1" in loaded.body
    shown = clean.api("GET", "/images/out/x:1/json").json()
    assert shown["Id"] == build(clean, FILES).image
    clean.api("DELETE", "/images/out/x:1")


@pytest.mark.parametrize(
    ("outputs", "status", "message"),
    [
        ([{"Type": "nosuch"}], 400, 'exporter "nosuch" could not be found'),
        (
            [{"Type": "image", "Attrs": {"compression": "zstd"}}],
            501,
            "compression=zstd of an output of a build (type=image)",
        ),
        ([{"Type": "tar", "Attrs": {"dest": "/etc/x"}}], 501, "dest=/etc/x of an output of a build (type=tar)"),
        ([{"Type": "moby", "Attrs": {"type": "oci"}}], 501, "type=oci of an output of a build (type=moby)"),
        ([{"Type": "registry"}], 400, "a name is needed for an image that is to be pushed"),
        ([{"Type": "tar"}] * 17, 400, "17 outputs of a build are more than 16"),
        ([{"type": "tar"}], 400, "error reading outputs: "),
    ],
)
def test_outputs_that_are_none(clean: Clients, outputs: list[dict[str, Any]], status: int, message: str) -> None:
    answer = ask(clean, IMAGE, *outputs)
    assert (answer.status, answer.message[: len(message)]) == (status, message)


def test_a_failing_step_has_no_archive(clean: Clients, root: Path) -> None:
    answer = ask(clean, "FROM busybox\nRUN exit 7\n", {"Type": "tar"})
    progress, archives = frames(answer.body)
    assert (progress[-1]["errorDetail"]["code"], archives) == (7, {})
    (root / "context/Dockerfile").write_text("FROM busybox\nRUN exit 7\n")
    failed = clean.scow("build", "-o", str(root / "f.tar"), str(root / "context"))
    assert failed.returncode == 7 and not (root / "f.tar").exists()


def test_docker_s_own_output_is_an_image(clean: Clients) -> None:
    made = build(clean, IMAGE, outputs=[{"Type": "moby", "Attrs": {"name": "out/moby"}}]).image
    assert clean.api("GET", "/images/out/moby/json").json()["Id"] == made
    clean.api("DELETE", "/images/out/moby")
    before = images(clean)
    assert build(clean, "FROM busybox\nRUN echo only the cache\n", outputs=[{"Type": "cacheonly"}]).error == ""
    assert images(clean) == before


def test_a_directory_and_stdout(clean: Clients, root: Path) -> None:
    out, given = root / "out", str(root / "context")
    made = clean.scow("build", "-f", f"{given}/files", "-o", str(out), given, check=True)
    assert "n is a device and was left out" in made.stderr
    there = os.stat(out / "d/f")
    assert (there.st_mode & 0o7777, there.st_uid, (out / "d/f").read_text()) == (0o711, os.getuid(), "one\n")
    assert (os.readlink(out / "l"), sorted(os.listdir(out))) == ("/etc/passwd", ["d", "l"])
    command = [str(ROOT / "bin/scow"), "-H", clean.host, "build", "-f", f"{given}/files", "-o", "-", given]
    shown = subprocess.run(command, capture_output=True, check=True, env=clean.env)
    assert b"Step 4/4" in shown.stderr
    with tarfile.open(fileobj=io.BytesIO(shown.stdout)) as files:
        assert files.getnames() == ["d", "d/f", "l", "n"]


def test_several_outputs_and_other_tools(clean: Clients, root: Path) -> None:
    given, layout = str(root / "context"), str(root / "layout")
    flags = ("-t", "out/many:2", "-o", f"type=oci,dest={root}/oci.tar", "-o", f"type=oci,tar=false,dest={layout}")
    clean.scow("build", *flags, "-o", "type=docker", "--iidfile", str(root / "iid"), given, check=True)
    assert clean.api("GET", "/images/out/many:2/json").json()["Id"] == (root / "iid").read_text()
    index = json.loads((root / "layout/index.json").read_text())["manifests"][0]
    assert index["annotations"]["org.opencontainers.image.ref.name"] == "2"
    manifest = json.loads((root / f"layout/blobs/sha256/{index['digest'][7:]}").read_text())
    assert manifest["config"]["digest"] == (root / "iid").read_text()
    with tarfile.open(root / "oci.tar") as archive:
        assert f"blobs/sha256/{index['digest'][7:]}" in archive.getnames()
    clean.api("DELETE", "/images/out/many:2")


def test_push(clean: Clients, root: Path, registry: Registry) -> None:
    name = f"{registry.address}/out/pushed:1"
    said = clean.scow("build", "--push", "-t", name, str(root / "context"), check=True)
    assert f"The push refers to repository [{registry.address}/out/pushed]" in said.stdout
    pushed = clean.api("GET", f"/distribution/{name}/json").json()["Descriptor"]["digest"]
    assert f"digest: {pushed}" in said.stdout
    clean.api("DELETE", f"/images/{name}")
    unnamed = clean.scow("build", "--push", str(root / "context"))
    assert (unnamed.returncode, "a name is needed for an image that is to be pushed" in unnamed.stderr) == (1, True)


def test_metadata(clean: Clients, root: Path) -> None:
    given, file = str(root / "context"), root / "metadata"
    clean.scow("build", "--metadata-file", str(file), "-t", "out/m", given, check=True)
    found = json.loads(file.read_text())
    assert found["containerimage.config.digest"] == clean.api("GET", "/images/out/m/json").json()["Id"]
    assert found["image.name"] == "docker.io/out/m:latest"
    layout = root / "layout"
    clean.scow("build", "--metadata-file", str(file), "-o", f"type=oci,tar=false,dest={layout}", given, check=True)
    index = json.loads((layout / "index.json").read_text())["manifests"][0]
    assert json.loads(file.read_text()) == {key: value for key, value in found.items() if key != "image.name"}
    assert index["digest"] == found["containerimage.digest"]
    clean.api("DELETE", "/images/out/m")


def test_stages_without_the_cache(clean: Clients) -> None:
    dockerfile = "FROM busybox AS One\nRUN echo 1 > /1\nFROM busybox\nRUN echo 2 > /2\nCOPY --from=One /1 /\n"
    build(clean, dockerfile)
    assert build(clean, dockerfile).cached == 3
    assert build(clean, dockerfile, nocachefilter=["one"]).cached == 2
    assert build(clean, dockerfile, nocachefilter=["1"]).cached == 1
    wrong = build(clean, dockerfile, nocachefilter=["two"])
    assert (wrong.status, wrong.error) == (400, "no stage is called two (nocachefilter)")
    said = clean.scow("build", "--no-cache-filter", "one,1", "-", input=dockerfile, check=True).stdout
    assert "Using cache" not in said


def test_flags_of_buildx(clean: Clients) -> None:
    """What turns something off that scow does not do is taken, what turns it on is refused by name."""
    off = (
        "--provenance=false",
        "--sbom=false",
        "--attest=type=sbom,disabled=true",
        "--cache-to=type=inline",
        "--call=build",
    )
    clean.scow("build", *off, "-q", "-", input="FROM busybox\n", check=True)
    for flag in ("--provenance=mode=max", "--sbom=true", "--attest=type=sbom", "--cache-to=type=gha", "--call=outline"):
        told = clean.scow("build", flag, "-", input="FROM busybox\n")
        assert (told.returncode, flag.partition("=")[0] in told.stderr) == (1, True), told
    assert (
        clean.scow("build", "--call=check", "-", input="FROM busybox\n").stdout
        == "Check complete, no warnings found.\n"
    )


def test_the_cache_of_an_image_in_a_registry(clean: Clients, root: Path, registry: Registry) -> None:
    name, given = f"{registry.address}/out/cache:1", str(root / "context")
    (root / "context/Dockerfile").write_text("FROM busybox\nRUN date +%s.$RANDOM > /when\n")
    clean.scow("build", "--push", "-t", name, "--iidfile", str(root / "iid"), given, check=True)
    clean.api("DELETE", f"/images/{name}")
    clean.api("POST", "/build/prune", query={"all": "1"})
    again = clean.scow(
        "build", f"--cache-from=type=registry,ref={name}", "--iidfile", str(root / "other"), given, check=True
    )
    assert " ---> Using cache\n" in again.stdout
    assert (root / "other").read_text() == (root / "iid").read_text()
    clean.api("DELETE", f"/images/{name}")
    lost = clean.scow("build", f"--cache-from=type=registry,ref={registry.address}/no/such:1", given, check=True)
    assert f"cannot take the cache from {registry.address}/no/such:1: " in lost.stdout
    for wrong in ("type=gha", "type=registry", f"type=registry,ref={name},insecure=true"):
        assert clean.scow("build", f"--cache-from={wrong}", given).returncode == 1

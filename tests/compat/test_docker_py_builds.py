"""docker-py's images.build against the socket, unchanged: where a context comes from, and what each keyword does."""

import contextlib
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, BuildError

from tests.harness.clients import Clients
from tests.harness.contexts import context
from tests.harness.registry import Registry


@pytest.fixture
def client(clean: Clients) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=clean.host, timeout=60)) as made:
        yield made


def built(client: docker.DockerClient, text: str = "", **how: Any) -> tuple[Any, str]:
    """(the image, all that was said)."""
    if text:
        how["fileobj"] = io.BytesIO(text.encode())
    image, lines = client.images.build(**how)
    return image, "".join(line.get("stream", "") for line in lines)


def shown(client: docker.DockerClient, image: Any, command: str) -> str:
    return client.containers.run(image.id, ["sh", "-c", command], remove=True).decode()  # type: ignore[no-any-return]


def test_a_folder_with_its_ignore_file(client: docker.DockerClient, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main").write_text("main\n")
    (tmp_path / "secret.log").write_text("no\n")
    (tmp_path / ".dockerignore").write_text("*.log\n")
    (tmp_path / "other.Dockerfile").write_text("FROM busybox\nCOPY . /c\n")
    image, _ = built(client, path=str(tmp_path), dockerfile="other.Dockerfile", tag="py/folder:1")
    assert image.tags == ["py/folder:1"]
    assert shown(client, image, "cd /c; find . -type f | sort") == "./.dockerignore\n./app/main\n./other.Dockerfile\n"
    outside = tmp_path / "app"
    image, _ = built(client, path=str(outside), dockerfile=str(tmp_path / "other.Dockerfile"))
    assert shown(client, image, "cat /c/main") == "main\n"
    client.images.remove("py/folder:1")


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_archive_of_ones_own(client: docker.DockerClient, encoding: str) -> None:
    archive = context({"sub/Dockerfile": "FROM busybox\nCOPY a /a\n", "a": "A\n"})
    how: dict[str, Any] = {"encoding": "gzip"} if encoding else {}
    sent = io.BytesIO(gzip.compress(archive) if encoding else archive)
    image, _ = built(client, fileobj=sent, custom_context=True, dockerfile="sub/Dockerfile", **how)
    assert shown(client, image, "cat /a") == "A\n"


def test_the_stream_is_the_classic_builders(client: docker.DockerClient) -> None:
    source = io.BytesIO(b"FROM busybox\nRUN echo said\n")
    lines = list(client.api.build(fileobj=source, tag="py/stream", rm=True, nocache=True, decode=True))
    text = "".join(line.get("stream", "") for line in lines)
    assert text.startswith("Step 1/2 : FROM busybox\n ---> ") and "\nsaid\n" in text
    image = client.images.get("py/stream")
    assert [line["aux"]["ID"] for line in lines if "aux" in line] == [image.id]
    assert text.endswith(f"Successfully built {image.id[7:19]}\nSuccessfully tagged py/stream:latest\n")
    raw = b"".join(client.api.build(fileobj=io.BytesIO(b"FROM busybox\n"), decode=False))
    assert raw.count(b"\r\n") >= 3
    client.images.remove("py/stream")


def test_arguments_labels_and_target(client: docker.DockerClient) -> None:
    text = (
        "ARG TAG=none\nFROM busybox:$TAG AS first\nARG A=default\nRUN echo $A > /a\nFROM first AS second\nRUN exit 9\n"
    )
    how = {"buildargs": {"TAG": "latest", "A": "value"}, "labels": {"l": "v=1", "m": ""}}
    image, said = built(client, text, target="first", **how)
    assert shown(client, image, "cat /a") == "value\n" and image.labels == {"l": "v=1", "m": ""}
    assert "exit 9" not in said
    with pytest.raises(APIError, match='target stage "third" could not be found'):
        built(client, text, target="third")
    with pytest.raises(BuildError) as caught:
        built(client, text, **how)
    assert "returned a non-zero code: 9" in caught.value.msg
    assert any("Step 3/" in line.get("stream", "") for line in caught.value.build_log)


def test_the_cache_and_who_does_without(clean: Clients, client: docker.DockerClient) -> None:
    text = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n"
    first, _ = built(client, text, tag="py/cached")
    again, said = built(client, text)
    assert again.id == first.id and said.count("Using cache") == 1
    anew, said = built(client, text, nocache=True, rm=False, forcerm=True)
    assert "Using cache" not in said and anew.id != first.id
    assert client.containers.list(all=True) == []
    clean.api("POST", "/build/prune", query={"all": "1"})
    lent, said = built(client, text, cache_from=["py/cached", "no/such"])
    assert lent.id == first.id and said.count("Using cache") == 1
    client.images.remove("py/cached")


def test_a_pull_fetches_the_base_again(client: docker.DockerClient, registry: Registry) -> None:
    name = f"{registry.address}/library/busybox:latest"
    image, said = built(client, f"FROM {name}\nLABEL a=b\n", pull=True)
    assert "Pulling from library/busybox" in said or client.images.get(name)
    assert image.labels == {"a": "b"}
    client.images.remove(image.id)
    client.images.remove(name)


def test_limits_network_and_hosts_of_a_step(client: docker.DockerClient) -> None:
    image, said = built(
        client,
        "FROM busybox\nRUN cat /etc/hosts; df -k /dev/shm | tail -1; ls /sys/class/net\n",
        network_mode="none",
        extra_hosts={"there": "10.1.2.3"},
        shmsize=8 << 20,
        container_limits={"memory": 64 << 20, "cpushares": 100},
        nocache=True,
    )
    assert "10.1.2.3\tthere" in said and " 8192 " in said and "\neth0\n" not in said and "\nlo\n" in said
    assert image.attrs["Config"]["Labels"] in (None, {})


def test_what_is_wrong_is_raised(client: docker.DockerClient, tmp_path: Path) -> None:
    with pytest.raises(APIError, match="unknown instruction: FRM") as caught:
        built(client, "FRM busybox\n")
    assert caught.value.status_code == 400
    with pytest.raises(APIError, match="Cannot locate specified Dockerfile"):
        built(client, fileobj=io.BytesIO(context({"a": "b"})), custom_context=True)
    with pytest.raises(BuildError, match="COPY failed"):
        built(client, "FROM busybox\nCOPY no /\n")

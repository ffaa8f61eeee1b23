"""docker-py against the socket, unchanged."""

import contextlib
import io
import threading
import time
from collections.abc import Iterator

import docker
import pytest
from docker.errors import APIError, BuildError, ContainerError, ImageNotFound, NotFound

from tests.harness.clients import Clients, await_true
from tests.harness.registry import PASSWORD, USER, Registry


@pytest.fixture
def client(clean: Clients) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=clean.host, timeout=30)) as made:
        yield made


def test_from_env_and_run(clean: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", clean.host)
    with contextlib.closing(docker.from_env()) as client:
        assert client.containers.run("busybox", "echo hi") == b"hi\n"


def test_a_failing_command_raises_with_its_output(client: docker.DockerClient) -> None:
    with pytest.raises(ContainerError) as caught:
        client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    assert caught.value.exit_status == 3
    assert caught.value.stderr == b"bad\n"
    assert client.containers.list(all=True) == []


def test_one_container_from_start_to_removal(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox",
        ["sh", "-c", "echo up; exec sleep 600"],
        name="py",
        detach=True,
        labels={"a": "b"},
        environment={"X": "y"},
    )
    container.reload()
    assert (container.status, container.name, container.labels) == ("running", "py", {"a": "b"})
    assert [c.id for c in client.containers.list(filters={"label": "a=b"})] == [container.id]
    assert client.containers.list(filters={"label": "a=c"}) == []
    await_true("it has said so", lambda: container.logs() == b"up\n")
    assert container.exec_run(["sh", "-c", "echo $X; echo e >&2; exit 4"], demux=True) == (4, (b"y\n", b"e\n"))
    assert container.top()["Titles"][0] == "UID"
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.rename("py2")
    container.restart(timeout=0)
    container.kill("KILL")
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(NotFound):
        client.containers.get("py2")


def test_logs_stream_until_the_end(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"], detach=True
    )
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"


def test_attach_with_stdin(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", "cat", stdin_open=True)
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    attached._sock.sendall(b"round\n")
    assert attached.read(8 + 6)[8:] == b"round\n"
    attached.close()
    container.remove(force=True)


def test_published_ports(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox", "sleep 600", detach=True, ports={"80/tcp": ("127.0.0.1", None), "53/udp": None}
    )
    container.reload()
    assert container.ports["80/tcp"][0]["HostIp"] == "127.0.0.1"
    assert int(container.ports["53/udp"][0]["HostPort"]) > 1023


def test_images(client: docker.DockerClient, registry: Registry) -> None:
    image = client.images.pull(f"{registry.address}/library/busybox", tag="latest")
    assert f"{registry.address}/library/busybox:latest" in image.tags
    assert image.tag("again", tag="v1")
    assert client.images.get("again:v1").id == image.id
    assert any("again:v1" in found.tags for found in client.images.list())
    client.images.remove("again:v1")
    with pytest.raises(ImageNotFound):
        client.images.get("again:v1")


def test_a_pull_with_credentials(client: docker.DockerClient, password_registry: Registry) -> None:
    name = f"{password_registry.address}/library/busybox"
    with pytest.raises(APIError):
        client.images.pull(name, tag="latest")
    with pytest.raises(APIError):
        client.images.pull(name, tag="latest", auth_config={"username": USER, "password": "wrong"})
    image = client.images.pull(name, tag="latest", auth_config={"username": USER, "password": PASSWORD})
    assert f"{name}:latest" in image.tags
    client.images.remove(f"{name}:latest")


def test_events(client: docker.DockerClient) -> None:
    seen: list[str] = []
    stream = client.events(decode=True)

    def listen() -> None:
        seen.extend(event["Action"] for event in stream if event["Type"] == "container")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    time.sleep(0.3)
    client.containers.run("busybox", "true", remove=True)
    await_true("the removal was told", lambda: "destroy" in seen)
    stream.close()
    wanted = ["create", "start", "die", "destroy"]
    assert [action for action in seen if action in wanted] == wanted


def test_errors_are_the_ones_programs_catch(client: docker.DockerClient) -> None:
    with pytest.raises(ImageNotFound):
        client.containers.create("no-such-image")
    with pytest.raises(NotFound):
        client.containers.get("nothing")
    client.containers.create("busybox", name="once")
    with pytest.raises(APIError) as caught:
        client.containers.create("busybox", name="once")
    assert caught.value.status_code == 409


def test_version_and_info(client: docker.DockerClient) -> None:
    assert client.ping()
    assert client.version()["ApiVersion"] >= "1.45"
    info = client.info()
    assert (info["OSType"], info["LoggingDriver"]) == ("linux", "json-file")


def test_build(client: docker.DockerClient) -> None:
    source = io.BytesIO(b"FROM busybox\nARG A\nRUN echo $A > /f\nLABEL l=1\n")
    image, lines = client.images.build(fileobj=source, tag="py/built", rm=True, buildargs={"A": "value"})
    assert image.tags == ["py/built:latest"]
    assert f"Successfully built {image.id[7:19]}\n" in [line.get("stream") for line in lines]
    assert client.containers.run("py/built", "cat /f", remove=True) == b"value\n"
    with pytest.raises(BuildError) as caught:
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 9\n"))
    assert "returned a non-zero code: 9" in caught.value.msg
    client.images.remove("py/built")
    assert client.api.prune_builds()["SpaceReclaimed"] >= 0

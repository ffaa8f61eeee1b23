"""Testcontainers as its users use it: a container for the length of a test, its port, its logs, its network."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.clients import Clients

core = pytest.importorskip("testcontainers.core.container")
networks = pytest.importorskip("testcontainers.core.network")
waits = pytest.importorskip("testcontainers.core.wait_strategies")
config = pytest.importorskip("testcontainers.core.config")


@pytest.fixture(autouse=True)
def environment(clean: Clients, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The user's settings. Its janitor is an image of its own, which needs a hub."""
    monkeypatch.setenv("DOCKER_HOST", clean.host)
    monkeypatch.setattr(config.testcontainers_config, "ryuk_disabled", True)
    yield


def said(text: str) -> Any:
    return waits.LogMessageWaitStrategy(text).with_startup_timeout(30)


def served(page: str) -> Any:
    script = f"mkdir /w; echo {page} >/w/index.html; echo ready; exec httpd -f -v -p 8000 -h /w"
    return core.DockerContainer("busybox").with_command(["sh", "-c", script]).waiting_for(said("ready"))


@pytest.mark.usefixtures("needs_nftables")
def test_a_server_for_the_length_of_a_test(clean: Clients) -> None:
    with served("hello").with_exposed_ports(8000) as server:
        address = f"http://{server.get_container_host_ip()}:{server.get_exposed_port(8000)}/"
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.read() == b"hello\n"
        assert server.exec(["cat", "/w/index.html"]) == (0, b"hello\n")
        assert server.exec("false").exit_code == 1
        assert len(list(clean.ids())) == 1
    assert not list(clean.ids())


def test_environment_volumes_and_files(clean: Clients, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("from the host")
    made = (
        core.DockerContainer("busybox")
        .with_env("X", "y")
        .with_volume_mapping(str(tmp_path), "/in", "ro")
        .with_name("tc1")
        .with_kwargs(labels={"a": "b"}, mem_limit="32m")
        .with_command(["sh", "-c", "echo $X; cat /in/f; echo; echo oops >&2; sleep 600"])
        .waiting_for(said("oops"))
    )
    with made as container:
        out, error = container.get_logs()
        assert out == b"y\nfrom the host\n" and error == b"oops\n"
        shown = clean.inspect("tc1")
        assert shown["Config"]["Labels"]["a"] == "b" and shown["HostConfig"]["Memory"] == 32 << 20
        assert shown["State"]["Running"]


@pytest.mark.usefixtures("needs_nftables")
def test_two_on_a_network_of_their_own(clean: Clients) -> None:
    with networks.Network() as network:
        server = served("inside").with_network(network)
        with server.with_network_aliases("server"):
            asking = core.DockerContainer("busybox").with_network(network).with_command("sleep 600")
            with asking as client:
                assert client.exec("wget -q -O - http://server:8000/") == (0, b"inside\n")
    assert not list(clean.ids())
    names = [item["Name"] for item in clean.api("GET", "/networks").json()]
    assert sorted(names) == ["bridge", "host", "none"]

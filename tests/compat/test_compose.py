"""docker-compose 1.29, Debian's package, brings up and down an application of three services."""

import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.clients import Clients, await_true

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FILE = """
version: "2.4"
services:
  store:
    image: busybox
    command: ["sh", "-c", "sleep 1; echo stored >/data/index.html; exec sleep 600"]
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "test", "-s", "/data/index.html"], interval: 1s, timeout: 5s, retries: 30}
    networks: [back]
  web:
    image: busybox
    command: ["httpd", "-f", "-p", "80", "-h", "/www"]
    volumes: ["data:/www:ro"]
    ports: ["127.0.0.1::80"]
    depends_on: {store: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1/"], interval: 1s, timeout: 5s, retries: 30}
    environment: {MODE: production}
    mem_limit: 64m
    networks: [back, front]
  client:
    image: busybox
    command: ["sh", "-c", "wget -q -O - http://web/; echo done; exec sleep 600"]
    depends_on: {web: {condition: service_healthy}}
    networks: [front]
networks:
  back: {internal: true}
  front: {}
volumes:
  data: {}
"""


@pytest.fixture
def compose(clean: Clients, tmp_path: Path) -> Iterator[Run]:
    program = shutil.which("docker-compose")
    if program is None or not subprocess.run([program, "version"], capture_output=True, text=True).stdout.startswith(
        "docker-compose version 1."
    ):
        pytest.skip("no docker-compose 1")
    (tmp_path / "docker-compose.yml").write_text(FILE)
    env = {**clean.env, "DOCKER_HOST": clean.host, "COMPOSE_PROJECT_NAME": "app", "COMPOSE_HTTP_TIMEOUT": "60"}

    def run(*args: str, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([program, *args], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        assert code is None or done.returncode == code, f"{args}: {done.stdout}\n{done.stderr}\n{clean.tail(20)}"
        return done

    yield run
    run("down", "-v", "-t", "0", code=None)


@pytest.mark.usefixtures("needs_nftables")
def test_three_services_up_and_down(compose: Run, clean: Clients) -> None:
    compose("config", "-q")
    compose("up", "-d", "--no-color")
    names = {item["Names"][0] for item in clean.api("GET", "/containers/json").json()}
    assert names == {"/app_store_1", "/app_web_1", "/app_client_1"}
    web = clean.inspect("app_web_1")
    assert web["State"]["Health"]["Status"] == "healthy" and web["HostConfig"]["Memory"] == 64 << 20
    assert clean.inspect("app_store_1")["State"]["StartedAt"] < web["State"]["StartedAt"]
    await_true("the client", lambda: "done" in compose("logs", "--no-color", "client").stdout)
    assert "stored" in compose("logs", "--no-color", "client").stdout
    with urllib.request.urlopen(f"http://{compose('port', 'web', '80').stdout.strip()}/", timeout=10) as answer:
        assert answer.read() == b"stored\n"
    assert compose("exec", "-T", "web", "sh", "-c", "echo $MODE").stdout == "production\n"
    assert compose("ps", "-q").stdout.count("\n") == 3 and "Up (healthy)" in compose("ps").stdout
    before = clean.inspect("app_web_1")["Id"]
    assert "up-to-date" in compose("up", "-d", "--no-color").stderr  # nothing has changed
    assert clean.inspect("app_web_1")["Id"] == before
    compose("restart", "-t", "0", "client")
    compose("up", "-d", "--no-color", "--scale", "client=2")
    assert clean.inspect("app_client_2")["State"]["Running"]
    compose("stop", "-t", "0")
    compose("start", "store")
    compose("down", "-t", "0")
    assert not list(clean.ids())
    assert "app_data" in [item["Name"] for item in clean.api("GET", "/volumes").json()["Volumes"]]
    compose("down", "-v")
    assert not [item for item in clean.api("GET", "/volumes").json()["Volumes"] if item["Name"] == "app_data"]
    assert not [item for item in clean.api("GET", "/networks").json() if item["Name"].startswith("app_")]


def test_a_service_that_fails_is_told(compose: Run) -> None:
    done = compose("run", "--rm", "--no-deps", "-T", "store", "sh", "-c", "echo out; echo err >&2; exit 7", code=None)
    assert (done.returncode, done.stdout) == (7, "out\n") and "err" in done.stderr

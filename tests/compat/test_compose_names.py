"""docker-compose (1.29, Debian's): three services that find each other by name. The same file on scow and on Docker."""

import json
import shutil
from pathlib import Path

import pytest

from tests.harness.clients import Clients, await_true

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("needs_nftables")]

FILE = """
version: "2.4"
networks:
  front: {}
  back:
    internal: true
services:
  db:
    image: busybox
    command: sh -c 'mkdir -p /w && echo -n rows > /w/index.html && exec httpd -f -p 5432 -h /w'
    networks:
      back:
        aliases: [database]
  app:
    image: busybox
    command: >-
      sh -c 'mkdir -p /w/cgi-bin && printf "#!/bin/sh\\necho; wget -qO- http://database:5432/" > /w/cgi-bin/ask
      && chmod +x /w/cgi-bin/ask && exec httpd -f -p 8000 -h /w'
    networks: [front, back]
    depends_on: [db]
  web:
    image: busybox
    command: >-
      sh -c 'mkdir -p /w/cgi-bin && printf "#!/bin/sh\\necho; wget -qO- http://app:8000/cgi-bin/ask" > /w/cgi-bin/page
      && chmod +x /w/cgi-bin/page && exec httpd -f -p 80 -h /w'
    networks: [front]
    ports: ["127.0.0.1::80"]
    depends_on: [app]
"""


class Application:
    def __init__(self, engine: Clients, folder: Path) -> None:
        self.engine = engine
        (folder / "docker-compose.yml").write_text(FILE)
        self._command = ["docker-compose", "--no-ansi", "-p", "sctshop", "-f", str(folder / "docker-compose.yml")]

    def compose(self, *args: str) -> str:
        return self.engine.run(
            [*self._command, *args], check=True, env={"DOCKER_HOST": self.engine.host}, timeout=120
        ).stdout

    def inside(self, service: str, *command: str) -> str:
        name = f"sctshop_{service}_1"
        return self.engine.scow("exec", name, *command).stdout

    def page(self) -> str:
        """What a visitor sees: web asks app, app asks db, each by name."""
        done = self.engine.run(
            [
                "timeout",
                "5",
                "busybox",
                "wget",
                "-qO-",
                f"http://{self.compose('port', 'web', '80').strip()}/cgi-bin/page",
            ]
        )
        return done.stdout.strip()


@pytest.fixture
def application(clean: Clients, tmp_path: Path) -> "Application":
    if shutil.which("docker-compose") is None:
        pytest.skip("no docker-compose on this machine")
    return Application(clean, tmp_path)


def test_three_services_find_each_other(application: Application) -> None:
    try:
        application.compose("up", "-d")
        await_true("the page is made of three services' answers", lambda: application.page() == "rows", timeout=20)
        assert application.inside("web", "wget", "-T", "2", "-qO-", "http://db:5432/") == ""
        application.compose("restart", "-t", "0", "db")
        await_true("db is found after its restart", lambda: application.page() == "rows", timeout=20)
        application.compose("up", "-d", "--scale", "app=2", "--no-recreate")
        names = application.inside("web", "nslookup", "-type=a", "app")
        assert names.count("Address: ") == 2, names
        networks = application.engine.api(
            "GET", "/networks", query={"filters": json.dumps({"name": ["sctshop_"]})}
        ).json()
        assert {one["Name"]: one["Internal"] for one in networks} == {"sctshop_front": False, "sctshop_back": True}
    finally:
        application.compose("down", "-t", "0")
    assert not application.engine.api("GET", "/networks", query={"filters": json.dumps({"name": ["sctshop_"]})}).json()

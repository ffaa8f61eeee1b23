"""docker-compose 1.29, Debian's package, builds and brings up an application of a page server and its test."""

import urllib.request
from pathlib import Path

import pytest

from tests.compat.test_compose import Run, compose
from tests.harness.clients import Clients

__all__ = ["compose"]
FILE = """
version: "3.7"
services:
  web:
    build:
      context: ./web
      dockerfile: Dockerfile.web
      args: {GREETING: hello}
      labels: {made.by: compose}
      target: served
    image: app/web:1
    ports: ["127.0.0.1::80"]
  check:
    build: ./check
    depends_on: [web]
"""
WEB = """ARG BASE=busybox
FROM $BASE AS built
ARG GREETING
COPY page /page
RUN sed "s/@/$GREETING/" /page > /index.html
FROM $BASE AS served
COPY --from=built /index.html /www/
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
FROM $BASE AS unused
RUN exit 1
"""


def write(root: Path, page: str) -> None:
    files = {
        "docker-compose.yml": FILE,
        "web/Dockerfile.web": WEB,
        "web/page": page,
        "web/left.log": "out",
        "web/.dockerignore": "*.log\n",
        "check/Dockerfile": "FROM busybox\nCMD wget -q -O - http://web/\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.usefixtures("needs_nftables")
def test_build_and_up(compose: Run, clean: Clients, tmp_path: Path) -> None:
    write(tmp_path, "@ page\n")
    first = compose("build", "--no-cache")
    assert "Successfully tagged app/web:1" in first.stdout and "Using cache" not in first.stdout
    image = clean.api("GET", "/images/app/web:1/json").json()
    assert image["Config"]["Labels"] == {"made.by": "compose"}
    assert clean.api("GET", "/images/app_check:latest/json").status == 200
    again = compose("build", "--parallel", "web")
    assert again.stdout.count("Using cache") == 6
    assert clean.api("GET", "/images/app/web:1/json").json()["Id"] == image["Id"]

    compose("up", "-d", "--build", "--no-color", "web")

    def page() -> bytes:
        address = compose("port", "web", "80").stdout.strip()
        with urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
            return bytes(answer.read())

    assert page() == b"hello page\n"
    checked = compose("run", "--rm", "-T", "check")
    assert checked.stdout == "hello page\n"
    before = clean.inspect("app_web_1")["Id"]
    (tmp_path / "web/page").write_text("@ changed\n")
    compose("up", "-d", "--no-color", "web")
    assert clean.inspect("app_web_1")["Id"] == before  # nobody asked for a build
    compose("up", "-d", "--build", "--no-color", "web")
    assert clean.inspect("app_web_1")["Id"] != before and page() == b"hello changed\n"
    (tmp_path / "web/Dockerfile.web").write_text(WEB.replace("RUN sed", "RUN false; nosuch"))
    failed = compose("up", "-d", "--build", "--no-color", "web", code=1)
    assert "returned a non-zero code: 127" in failed.stdout + failed.stderr
    assert page() == b"hello changed\n"
    compose("down", "--rmi", "all", "-t", "0")
    assert clean.api("GET", "/images/app/web:1/json").status == 404

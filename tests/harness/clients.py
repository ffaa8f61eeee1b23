"""Clients of an engine: scow's CLI, the docker CLI, and bare requests to the Engine API."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
API = "v1.45"
_VENV = ROOT / ".venv/bin/python"
PYTHON = str(_VENV) if _VENV.exists() else sys.executable


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The sentence of an error answer."""
        return str(self.json()["message"])


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("d", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Clients:
    """`host` is unix:///PATH; `env` is what the command line clients get (they see no user's configuration)."""

    def __init__(self, host: str, env: dict[str, str], home: Path, newest: str = API) -> None:
        """`newest`: the version that `api` speaks unless told another one."""
        self.host = host
        self.newest = newest
        self.socket = Path(host.removeprefix("unix://"))
        self.env = {**os.environ, **env, "HOME": str(home), "DOCKER_CONFIG": str(home / "docker")}
        for name in ("DOCKER_HOST", "SCOW_HOST", "DOCKER_CONTEXT"):
            self.env.pop(name, None)

    def scow(self, *args: str, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        """scow's own CLI against this daemon; see `run` for the keywords."""
        return self.run([str(ROOT / "bin/scow"), "-H", self.host, *args], **kwargs)

    def docker(self, *args: str, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        """The docker CLI against this daemon (mark the test with `needs_docker`)."""
        return self.run(["docker", "-H", self.host, *args], **kwargs)

    def run(
        self,
        command: list[str],
        *,
        input: str | None = None,
        timeout: float = 60,
        check: bool = False,
        env: dict[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a client. With `check`, a non-zero exit fails the test and shows both streams."""
        done = subprocess.run(
            command,
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**self.env, **(env or {})},
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{command} exited {done.returncode}\nstdout: {done.stdout}\nstderr: {done.stderr}\n{self.tail(10)}"
            )
        return done

    def out(self, *args: str, **kwargs: Any) -> str:
        """stdout of a `scow` command that must succeed, without the last newline."""
        return self.scow(*args, check=True, **kwargs).stdout.removesuffix("\n")

    def connect(self, timeout: float = 30) -> UnixConnection:
        return UnixConnection(str(self.socket), timeout)

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        version: str | None = "newest",
        timeout: float = 30,
    ) -> Response:
        """One request to the Engine API. `body` is sent as JSON unless it is bytes."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        version = self.newest if version == "newest" else version
        target = (f"/{version}" if version else "") + path + (f"?{urlencode(query)}" if query else "")
        connection = self.connect(timeout)
        try:
            connection.request(method, target, data, sent)
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def tail(self, lines: int = 40) -> str:
        """The end of the daemon's log, where it is known."""
        return ""

    def answers(self) -> bool:
        try:
            return self.api("GET", "/_ping", timeout=2).status == 200
        except OSError:
            return False

    def create(self, name: str = "", image: str = "busybox", **config: Any) -> str:
        """Create a container over the API; `config` is Docker's body (Cmd=…, HostConfig=…). Returns its id."""
        query = {"name": name} if name else None
        answer = self.api("POST", "/containers/create", {"Image": image, **config}, query=query)
        assert answer.status == 201, f"{answer.status} {answer.body!r}\n{self.tail(10)}"
        return str(answer.json()["Id"])

    def start_container(self, name: str) -> None:
        answer = self.api("POST", f"/containers/{name}/start")
        assert answer.status == 204, f"{answer.status} {answer.body!r}\n{self.tail(10)}"

    def launch(self, name: str = "", image: str = "busybox", **config: Any) -> str:
        """Create and start a container; returns its id."""
        identity = self.create(name, image, **config)
        self.start_container(identity)
        return identity

    def wait(self, name: str, timeout: float = 30) -> int:
        """The exit code of a container, once it has ended."""
        return int(self.api("POST", f"/containers/{name}/wait", timeout=timeout).json()["StatusCode"])

    def inspect(self, name: str) -> Any:
        answer = self.api("GET", f"/containers/{name}/json")
        assert answer.status == 200, answer.body
        return answer.json()

    def ids(self) -> Iterator[str]:
        for item in self.api("GET", "/containers/json", query={"all": 1}).json():
            yield item["Id"]

    def remove_all(self) -> None:
        """Remove every container: the tests of one session share a daemon."""
        for identity in list(self.ids()):
            self.api("DELETE", f"/containers/{identity}", query={"force": 1, "v": 1})


def await_true(what: str, probe: Callable[[], Any], timeout: float = 10) -> Any:
    """Poll until `probe()` is true; the test fails with `what` when it never is."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := probe():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {what}")

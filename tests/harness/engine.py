"""A scratch daemon of scow for tests: start, kill, restart, and clients against it."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.harness import slots, wipe

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


class Engine:
    """One scratch daemon in its own slot. `start` is called by the fixture; `close` removes everything."""

    def __init__(self, *flags: str, config: dict[str, Any] | None = None) -> None:
        self.slot = slots.take()
        wipe.wipe(self.slot)
        self.base = self.slot.base
        self.data_root = self.base / "data"
        self.exec_root = self.base / "run"
        self.socket = self.base / "d.sock"
        self.log = self.base / "daemon.log"
        self.host = f"unix://{self.socket}"
        self.bridge, self.bip = self.slot.bridge, self.slot.bip
        self.process: subprocess.Popen[bytes] | None = None
        self._flags = list(flags)
        self.base.mkdir(parents=True)
        self.config_file = self.base / "daemon.json"
        self.config_file.write_text(json.dumps(config or {}))
        self.env = {**os.environ, **self.slot.env, "HOME": str(self.base), "DOCKER_CONFIG": str(self.base / "docker")}
        for name in ("DOCKER_HOST", "SCOW_HOST", "DOCKER_CONTEXT"):
            self.env.pop(name, None)

    # ------------------------------------------------------------ the daemon

    def start(self, timeout: float = 15) -> "Engine":
        """Start the daemon and return when it answers; fails with its log when it does not."""
        assert self.process is None, "the daemon runs already"
        command = [
            *(PYTHON, "-m", "scow.daemon", "-H", self.host),
            *("--data-root", str(self.data_root), "--exec-root", str(self.exec_root)),
            *("--bridge", self.bridge, "--bip", self.bip),
            *("--config-file", str(self.config_file), "--pidfile", str(self.base / "daemon.pid")),
            *self._flags,
        ]
        env = {**self.env, "PYTHONPATH": str(ROOT / "src")}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if self.answers():
                return self
            time.sleep(0.02)
        raise AssertionError(f"the daemon did not answer in {timeout} s (exit {self.process.poll()}):\n{self.tail()}")

    def answers(self) -> bool:
        try:
            return self.api("GET", "/_ping", timeout=2).status == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        assert self.process is not None, "no daemon runs"
        return self.process.pid

    def stop(self, timeout: float = 15) -> int:
        """SIGTERM and wait; containers live on. Returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not stop in {timeout} s:\n{self.tail()}") from None
        self.process = None
        return code

    def kill9(self) -> None:
        """SIGKILL, as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def restart(self) -> "Engine":
        self.stop()
        return self.start()

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if keep := os.environ.get("SCOW_TEST_KEEP"):
            shutil.copy(self.log, f"{keep}/daemon-{self.slot.number}.log")
        wipe.wipe(self.slot)
        self.slot.release()

    def tail(self, lines: int = 40) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    # ------------------------------------------------------------ clients

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
        version: str | None = API,
        timeout: float = 30,
    ) -> Response:
        """One request to the Engine API. `body` is sent as JSON unless it is bytes."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        target = (f"/{version}" if version else "") + path + (f"?{urlencode(query)}" if query else "")
        connection = self.connect(timeout)
        try:
            connection.request(method, target, data, sent)
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ids(self) -> Iterator[str]:
        for item in self.api("GET", "/containers/json", query={"all": 1}).json():
            yield item["Id"]

    def remove_all(self) -> None:
        """Remove every container: the tests of one session share a daemon."""
        for identity in list(self.ids()):
            self.api("DELETE", f"/containers/{identity}", query={"force": 1, "v": 1})


def await_true(what: str, probe: Any, timeout: float = 10) -> Any:
    """Poll until `probe()` is true; the test fails with `what` when it never is."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := probe():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {what}")

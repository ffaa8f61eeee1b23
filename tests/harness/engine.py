"""A scratch daemon of scow for tests: start, kill, restart."""

import json
import os
import shutil
import signal
import subprocess
import time
from typing import Any

from tests.harness import slots, wipe
from tests.harness.clients import PYTHON, ROOT, Clients


class Engine(Clients):
    """One scratch daemon in its own slot. `start` is called by the fixture; `close` removes everything."""

    def __init__(self, *flags: str, config: dict[str, Any] | None = None, netns: str = "", hostname: str = "") -> None:
        """`netns`: a named network namespace for the daemon to run in; `hostname`: what it thinks its machine is called. "" for
        the host's.
        """
        self.slot = slots.take()
        wipe.wipe(self.slot)
        self.base = self.slot.base
        super().__init__(f"unix://{self.base}/d.sock", self.slot.env, self.base)
        self.data_root = self.base / "data"
        self.exec_root = self.base / "run"
        self.log = self.base / "daemon.log"
        self.bridge, self.bip = self.slot.bridge, self.slot.bip
        self.process: subprocess.Popen[bytes] | None = None
        self._flags = list(flags)
        self._netns = netns
        self._hostname = hostname
        self.base.mkdir(parents=True)
        self.config_file = self.base / "daemon.json"
        self.config_file.write_text(json.dumps(config or {}))

    # ------------------------------------------------------------ the daemon

    def start(self, timeout: float = 15) -> "Engine":
        """Start the daemon and return when it answers; fails with its log when it does not."""
        assert self.process is None, "the daemon runs already"
        command = [
            *(("nsenter", f"--net=/run/netns/{self._netns}") if self._netns else ()),
            *(("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self._hostname) if self._hostname else ()),
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

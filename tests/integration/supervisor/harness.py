"""A scratch area for tests of the supervisor: a busybox root, task specs, and a clean end. Needs root."""

import asyncio
import contextlib
import glob
import itertools
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scow.errors import ScowError
from scow.linux import cgroup
from scow.model.task import Attachment, LogTarget, TaskSpec
from scow.supervisor.adoption import bury
from scow.supervisor.supervisor import Supervisor
from scow.supervisor.task import RunningTask
from tests.harness import scratch
from tests.integration.runtime.harness import build_rootfs, default_spec

PATIENCE = float(os.environ.get("SCOW_TEST_PATIENCE", "60"))
"""Seconds for the body of one test: a guard, not a measure. tests/guest gives more, for runc needs seconds there."""

_numbers = itertools.count()


class Area:
    """Roots of one test: `spec` makes a TaskSpec, `close` ends whatever still runs and removes everything."""

    def __init__(self, path: str | None = None) -> None:
        self.path = path or str(scratch.make("sv"))
        self.runtime: tuple[str, ...] = ()  # the command of an external one
        self.exec_root = f"{self.path}/exec"
        self.data_root = f"{self.path}/data"
        self.group = "/".join(("scowtest-sv", *self.path.split("/")[-2:]))
        if path is None:
            os.makedirs(f"{self.exec_root}/rootfs")
            os.makedirs(self.data_root)
            build_rootfs(f"{self.path}/lower")

    def supervisor(self) -> Supervisor:
        return Supervisor(self.exec_root, data_root=self.data_root)

    def spec(self, args: list[str], *, name: str = "", log: dict[str, str] | None = None, **how: Any) -> TaskSpec:
        """A default container that runs `args`."""
        name = name or f"c{next(_numbers):03d}".ljust(64, "0")
        base = f"{self.data_root}/{name}"
        for part in ("upper", "work"):
            os.makedirs(f"{base}/{part}", exist_ok=True)
        document = default_spec(args)
        document["root"]["path"] = f"{self.exec_root}/rootfs"
        document["process"]["terminal"] = how.get("terminal", False)
        document["linux"]["cgroupsPath"] = f"/{self.group}/{name}"
        document["linux"]["resources"].update(how.pop("resources", {}))
        options = [f"lowerdir={self.path}/lower", f"upperdir={base}/upper", f"workdir={base}/work"]
        return TaskSpec(
            id=name,
            spec=document,
            rootfs=[{"type": "overlay", "source": "overlay", "options": options}],
            log=how.pop("target", None) or LogTarget("json-file", self.log_path(name), log or {}),
            exit_path=f"{base}/exit.json",
            runtime=self.runtime,
            **how,
        )

    def sh(self, script: str, **how: Any) -> TaskSpec:
        return self.spec(["sh", "-c", script], **how)

    def log_path(self, name: str) -> str:
        return f"{self.data_root}/{name}/{name}-json.log"

    def log(self, name: str) -> list[tuple[str, str]]:
        """(stream, text) of every record."""
        with open(self.log_path(name), "rb") as file:
            records = [json.loads(line) for line in file]
        return [(record["stream"], record["log"]) for record in records]

    def text(self, name: str, stream: str = "stdout") -> str:
        return "".join(text for kind, text in self.log(name) if kind == stream)

    def leftovers(self) -> list[str]:
        """Task directories, processes and cgroups that still exist."""
        found = [f"task {name}" for name in os.listdir(f"{self.exec_root}/tasks")]
        for root, _, _ in os.walk("/sys/fs/cgroup"):
            if root.count("/") < 9 and f"/{self.group}/" in root:
                found.append(f"cgroup {root}")
        return found

    def bury_all(self) -> None:
        """End what a failed test has left."""
        for name in os.listdir(self.data_root):
            bury(f"/{self.group}/{name}")

    def close(self) -> None:
        self.bury_all()
        try:
            cgroup.open(f"/{self.group}").remove()
        except (OSError, ScowError):
            pass
        for group in (os.path.dirname(self.group), "scowtest-sv"):
            for directory in (*glob.glob(f"/sys/fs/cgroup/*/{group}"), f"/sys/fs/cgroup/{group}"):
                with contextlib.suppress(OSError):  # another run uses it
                    os.rmdir(directory)
        for _ in range(100):  # monitors are ending
            scratch.remove(Path(self.path))
            if not os.path.exists(self.path):
                return
            time.sleep(0.02)


class Client:
    """A test's end of an attached connection."""

    def __init__(self, **how: Any) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        self.attachment = Attachment(theirs, **how)

    def handed_over(self) -> "Client":
        self.attachment.connection.close()
        return self

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def read_all(self, timeout: float = 5) -> bytes:
        """Everything up to the end of the stream."""
        return await self.read_until(lambda data: False, timeout)

    async def read_until(self, enough: Callable[[bytes], bool], timeout: float = 5) -> bytes:
        loop, data = asyncio.get_running_loop(), b""
        async with asyncio.timeout(timeout):
            while not enough(data):
                more = await loop.sock_recv(self.socket, 1 << 20)
                if not more:
                    break
                data += more
        return data

    def close(self) -> None:
        self.socket.close()


def unframe(data: bytes) -> list[tuple[int, bytes]]:
    """The frames of a multiplexed stream."""
    frames = []
    while data:
        size = int.from_bytes(data[4:8], "big")
        assert data[1:4] == b"\0\0\0" and len(data) >= 8 + size, data[:20]
        frames.append((data[0], data[8 : 8 + size]))
        data = data[8 + size :]
    return frames


def joined(data: bytes, stream: int = 1) -> bytes:
    return b"".join(text for number, text in unframe(data) if number == stream)


async def eventually(check: Callable[[], bool], timeout: float = 20) -> None:
    """Wait until it is so. The limit is for machines where a start takes seconds."""
    async with asyncio.timeout(timeout):
        while not check():
            await asyncio.sleep(0.01)


def parent(pid: int) -> int:
    """The parent's pid; 0 when the process has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


async def monitor_of(task: RunningTask, supervisor: Supervisor) -> int:
    """The monitor's pid: init's parent once the starter in between has ended."""
    await eventually(lambda: parent(parent(task.pid)) == supervisor.zygote_pid)
    return parent(task.pid)

"""The engines that are measured side by side, each with its own roots, socket and bridge; all is removed at the end."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from scow.network.segment import way_mtu
from tests.harness import slots, wipe
from tests.harness.clients import ROOT, UnixConnection
from tests.harness.engine import Engine

DEVNULL = os.open(os.devnull, os.O_RDWR)


def spawn(command: list[str], env: dict[str, str] | None = None) -> int:
    """Start a client with all its streams on /dev/null; returns its pid. As cheap as a start can be."""
    actions = [(os.POSIX_SPAWN_DUP2, DEVNULL, fd) for fd in (0, 1, 2)]
    return os.posix_spawnp(command[0], command, env or dict(os.environ), file_actions=actions)


def timed(command: list[str]) -> float:
    """Seconds from the start of a client to its end. Its failure raises: a failed run is fast and means nothing."""
    start = time.perf_counter()
    status = os.waitpid(spawn(command), 0)[1]
    took = time.perf_counter() - start
    if status != 0:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        raise RuntimeError(f"{' '.join(command)}: status {status}; again: {done.returncode} {done.stderr.strip()}")
    return took


class Peer:
    """One engine. `clients`: its command lines by the name of their column; `socket`: its Engine API, if any."""

    name = ""
    clients: dict[str, list[str]]
    base: Path  # below it is all that it has on disk
    socket: str | None = None

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def roots(self) -> list[int]:
        """pids of the daemons: they and their descendants, without helpers of containers, are the engine at rest."""
        return []

    @property
    def cli(self) -> list[str]:
        return next(iter(self.clients.values()))

    def call(self, *args: str, check: bool = True) -> str:
        done = subprocess.run([*self.cli, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name} {' '.join(args)}: {done.returncode} {done.stderr.strip()}")
        return done.stdout.strip()

    def api(self, method: str, path: str, body: object = None, timeout: float = 120) -> tuple[int, bytes]:
        assert self.socket is not None
        connection = UnixConnection(self.socket, timeout)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/v1.41{path}", data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def pull(self, reference: str) -> None:
        # over the API: it is the daemon's work that counts
        name, _, tag = reference.rpartition(":")
        status, body = self.api("POST", f"/images/create?fromImage={name}&tag={tag}", timeout=300)
        if status != 200 or b'"error"' in body:
            raise RuntimeError(f"pull {reference}: {status} {body[-300:]!r}")

    def inits(self) -> list[int]:
        """pid of the first process of every running container."""
        found = []
        for item in json.loads(self.api("GET", "/containers/json")[1]):
            found.append(json.loads(self.api("GET", f"/containers/{item['Id']}/json")[1])["State"]["Pid"])
        return found

    def remove_all(self) -> None:
        for item in json.loads(self.api("GET", "/containers/json?all=1")[1]):
            self.api("DELETE", f"/containers/{item['Id']}?force=1")

    def push(self, reference: str) -> None:
        self.call("push", "-q", reference)

    def give(self, reference: str, name: str) -> None:
        """Make an image of a registry known under a short name."""
        self.pull(reference)
        self.call("tag", reference, name)


class Scow(Peer):
    name = "scow"

    def __init__(self) -> None:
        self.engine = Engine()
        self.base = self.engine.base
        self.socket = str(self.engine.socket)
        self.clients = {"scow": [str(ROOT / "bin/scow"), "-H", self.engine.host]}
        if shutil.which("docker"):
            self.clients["docker CLI on scow"] = ["docker", "-H", self.engine.host]

    def start(self) -> None:
        self.engine.start()

    def stop(self) -> None:
        self.engine.close()

    def roots(self) -> list[int]:
        return [self.engine.pid]


class Docker(Peer):
    name = "docker"

    def __init__(self) -> None:
        self.slot = slots.take()
        wipe.wipe(self.slot)
        self.base = self.slot.base
        self.base.mkdir(parents=True)
        self.socket = str(self.base / "d.sock")
        self.clients = {"Docker": ["docker", "-H", f"unix://{self.socket}"]}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        bridge = self.slot.bridge
        for command in (
            ["ip", "link", "add", bridge, "type", "bridge"],
            ["ip", "addr", "add", self.slot.bip, "dev", bridge],
            ["ip", "link", "set", bridge, "up"],
        ):
            subprocess.run(command, check=True)
        command = [
            *("dockerd", "--data-root", f"{self.base}/data", "--exec-root", f"{self.base}/run"),
            *("-H", f"unix://{self.socket}", "--bridge", bridge, "--pidfile", f"{self.base}/pid"),
            *("--mtu", str(way_mtu())),  # as scow finds it by itself: a packet's size decides much of the throughput
        ]
        with open(self.base / "log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **self.slot.env})
        for _ in range(150):
            if os.path.exists(self.socket):
                try:
                    if self.api("GET", "/_ping")[0] == 200:
                        return
                except OSError:
                    pass
            time.sleep(0.1)
        raise RuntimeError("dockerd does not answer:\n" + (self.base / "log").read_text()[-2000:])

    def roots(self) -> list[int]:
        assert self.process is not None
        return [self.process.pid]

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for table in ("nat", "filter"):
            rules = subprocess.run(["iptables", "-t", table, "-S"], capture_output=True, text=True).stdout
            for rule in rules.splitlines():
                if self.slot.bridge in rule.split():
                    subprocess.run(["iptables", "-t", table, "-D", *rule.split()[1:]], stderr=subprocess.DEVNULL)
        wipe.wipe(self.slot)
        self.slot.release()


class Podman(Peer):
    name = "podman"

    def __init__(self) -> None:
        self.slot = slots.take()
        wipe.wipe(self.slot)
        base = self.base = self.slot.base
        base.mkdir(parents=True)
        flags = ["--root", f"{base}/root", "--runroot", f"{base}/run", "--tmpdir", f"{base}/tmp"]
        if shutil.which("runc"):
            flags += ["--runtime", "runc"]  # as Docker has, and crun refuses cgroup v1 beside v2
        flags += ["--cgroup-manager", "cgroupfs", "--events-backend", "file", "--log-level", "error"]
        self.clients = {"podman": ["podman", *flags]}
        self._bridges = self._links()
        # podman asks for the highest limits, which a machine without CAP_SYS_RESOURCE refuses
        limits = '["nofile=1024:1024", "nproc=4096:4096"]'
        (base / "containers.conf").write_text(f"[containers]\ndefault_ulimits = {limits}\n")
        os.environ["CONTAINERS_CONF"] = str(base / "containers.conf")

    @staticmethod
    def _links() -> set[str]:
        return set(os.listdir("/sys/class/net"))

    def start(self) -> None:
        self.call("info")

    def pull(self, reference: str) -> None:
        self.call("pull", "-q", "--tls-verify=false", reference)

    def push(self, reference: str) -> None:
        self.call("push", "-q", "--tls-verify=false", reference)

    def give(self, reference: str, name: str) -> None:
        self.pull(reference)
        self.call("tag", reference, f"docker.io/library/{name}")

    def inits(self) -> list[int]:
        ids = self.call("ps", "-q").split()
        return [int(pid) for pid in self.call("inspect", "-f", "{{.State.Pid}}", *ids).split()]

    def remove_all(self) -> None:
        self.call("rm", "-f", "-a", "-t", "0", check=False)

    def stop(self) -> None:
        self.remove_all()
        wipe.wipe(self.slot)
        for link in self._links() - self._bridges:
            if link.startswith(("podman", "cni-podman")):
                subprocess.run(["ip", "link", "del", link], stderr=subprocess.DEVNULL)
        self.slot.release()


def installed() -> list[type[Peer]]:
    peers: list[type[Peer]] = [Scow]
    if shutil.which("dockerd") and shutil.which("docker"):
        peers.append(Docker)
    if shutil.which("podman"):
        peers.append(Podman)
    return peers


# ---------------------------------------------------------------- memory


def private(pids: Iterable[int]) -> int:
    """Private memory of processes in bytes: what would come back if they ended."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def parents() -> dict[int, int]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_bytes()
            except OSError:
                continue
            found[int(entry)] = int(stat.rpartition(b")")[2].split()[1])
    return found


def tree(roots: Iterable[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found, todo = set(), list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, ())
    return found

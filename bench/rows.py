"""The measured rows. Each gives one sample per call for each client, so that a run can interleave the engines."""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench import contexts, images, traffic
from bench.engines import Peer, parents, private, spawn, timed, tree
from tests.harness.registry import Registry

LINE = b"x" * 99 + b"\n"
NETWORKS = ("none", "bridge")
FAILURES = (RuntimeError, OSError, KeyError, ValueError, subprocess.SubprocessError)  # a sample is missing then


@dataclass
class Row:
    """name, unit; `better` is "less" or "more". `columns`: samples by client name. `goal`: the budget, as a ratio."""

    key: str
    title: str
    unit: str
    better: str = "less"
    goal: str = ""
    columns: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, column: str, value: float) -> None:
        self.columns.setdefault(column, []).append(value)

    def measure(self, column: str, step: Callable[..., float], *arguments: object) -> None:
        """Add a sample; a failure becomes a note."""
        try:
            self.add(column, step(*arguments))
        except FAILURES as error:
            self.notes[column] = str(error)[:200]

    def median(self, column: str) -> float | None:
        values = self.columns.get(column)
        return statistics.median(values) if values else None


# The kernel takes network namespaces down in the background, for seconds after 40 containers were removed, under locks
# that whoever starts containers next waits for: an engine's clean-up must not be measured as its successor's start.
SETTLE = 5.0

# ext4 passes over inodes that were deleted within the last 35 s, one by one, whenever it makes a file: after a large image
# was removed, files of any engine's next image cost many times as much.
FORGOTTEN = 40.0


class Bench:
    """Peers that run, and how often to repeat; `disks`: each has a file system of its own. Every method named `row_KEY`
    fills one or more rows.
    """

    def __init__(self, peers: list[Peer], n: int, quick: bool, disks: bool = False) -> None:
        self.peers, self.n, self.quick, self.disks = peers, n, quick, disks
        self.rows: list[Row] = []

    def row(self, *args: str, **kwargs: str) -> Row:
        row = Row(*args, **kwargs)
        self.rows.append(row)
        return row

    def interleave(self, row: Row, step: Callable[[Peer, list[str]], float], n: int | None = None) -> None:
        """`n` samples from each client in turn, after one warm-up each. A client that fails loses its column."""
        broken: set[str] = set()
        for turn in range((n or self.n) + 1):
            for peer in self.peers:
                for column, cli in peer.clients.items():
                    if column in broken or (peer.name == "podman" and turn > max(3, (n or self.n) // 3)):
                        continue  # podman is slow, and a median of few is enough for it
                    try:
                        value = step(peer, cli)
                    except FAILURES as error:
                        broken.add(column)
                        row.notes[column] = str(error)[:200]
                        continue
                    if turn:
                        row.add(column, value)

    # ------------------------------------------------------------ starts

    def row_run(self) -> None:
        for network, goal in (("none", "5×, docker CLI 7×"), ("bridge", "5×, docker CLI 7×")):
            row = self.row(f"run-{network}", f"`run --rm busybox true`, network {network}", "ms", goal=goal)
            args = ["run", "--rm", "--network", network, "busybox", "true"]
            self.interleave(row, lambda _peer, cli, args=args: timed([*cli, *args]) * 1000)

        row = self.row("run-cost", "the same: what the bridge costs more than none", "ms", goal="≤ 5 ms")

        def difference(_peer: Peer, cli: list[str]) -> float:
            none, bridge = (timed([*cli, "run", "--rm", "--network", name, "busybox", "true"]) for name in NETWORKS)
            return (bridge - none) * 1000

        self.interleave(row, difference, n=2 * self.n)

    def row_traffic(self) -> None:
        """Through a published port; podman is left out."""
        seconds, engines = 1 if self.quick else 3, [peer for peer in self.peers if peer.name != "podman"]
        beside, local, six = "from a machine beside", "from the host by 127.0.0.1", "from the host by [::1]"
        rates = {
            where: self.row(f"bytes-{number}", f"published port, {where}", "Gbit/s", "more", goal="1×")
            for number, where in enumerate((beside, local, six))
        }
        trips = {
            (where, what): self.row(f"trip-{number}-{what}", f"published port, {where}: {what}", "µs", goal="1×")
            for number, where in enumerate((beside, local, six))
            for what in ("round trip", "connection")
        }
        scripts = {"round trip": traffic.ASK, "connection": traffic.CONNECT}
        with traffic.wire() as wire:
            ways = {beside: (wire.enter, wire.address), local: ([], "127.0.0.1"), six: ([], "::1")}
            for number, peer in enumerate(engines):
                traffic.serve(peer, 33000 + 10 * number)
            for _ in range(max(3, self.n // 3)):
                for number, peer in enumerate(engines):
                    port, column = 33000 + 10 * number, next(iter(peer.clients))
                    for where, (enter, address) in ways.items():
                        rates[where].measure(column, traffic.gigabits, enter, address, port, seconds)
                        for what, script in scripts.items():
                            trips[where, what].measure(column, traffic.microseconds, enter, script, address, port)
        for peer in engines:
            peer.remove_all()

    def row_cli(self) -> None:
        row = self.row("cli", "CLI from exec to the first request", "ms", goal="≤ 25 ms")
        for turn in range(self.n + 1):
            for peer in self.peers:
                if peer.socket is None:
                    continue
                for column, cli in peer.clients.items():
                    if column.startswith("docker CLI"):
                        continue  # the same program as Docker's column
                    value = first_request(cli[0])
                    if turn:
                        row.add(column, value * 1000)

    def row_exec(self) -> None:
        for peer in self.peers:
            peer.call("run", "-d", "--name", "bench-exec", "--network", "none", "busybox", "sleep", "3600")
        row = self.row("exec", "`exec true`", "ms", goal="2.5×, docker CLI 3.5×")
        self.interleave(row, lambda _peer, cli: timed([*cli, "exec", "bench-exec", "true"]) * 1000)
        for peer in self.peers:
            peer.remove_all()

    def row_rm(self) -> None:
        row = self.row("rm", "`rm -f` of a running container", "ms", goal="3×")

        def step(peer: Peer, cli: list[str]) -> float:
            peer.call("run", "-d", "--name", "bench-rm", "busybox", "sleep", "3600")
            return timed([*cli, "rm", "-f", "bench-rm"]) * 1000

        self.interleave(row, step, n=max(3, self.n // 2))

    def row_starts(self) -> None:
        total = 16 if self.quick else 40
        row = self.row("starts-cli", f"{total} starts, 8 at once, by CLI", "/s", "more", goal="6×")

        def by_cli(peer: Peer, cli: list[str]) -> float:
            start = time.perf_counter()
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: timed([*cli, "run", "-d", "busybox", "sleep", "3600"]), range(total)))
            took = time.perf_counter() - start
            peer.remove_all()
            time.sleep(SETTLE)
            return total / took

        self.interleave(row, by_cli, n=1 if self.quick else 3)
        for network, goal in (("bridge", "10×"), ("none", "bridge ≥ Docker's none")):
            title = f"{total} starts, 8 at once, over the API" + (", network none" if network == "none" else "")
            self._starts(self.row(f"starts-api-{network}", title, "/s", "more", goal=goal), total, network)

    def _starts(self, row: Row, total: int, network: str) -> None:
        config = {"Image": "busybox", "Cmd": ["sleep", "3600"], "HostConfig": {"NetworkMode": network}}

        def one(peer: Peer) -> None:
            status, body = peer.api("POST", "/containers/create", config)
            if status != 201:
                raise RuntimeError(f"create: {status} {body!r}")
            status, body = peer.api("POST", f"/containers/{json.loads(body)['Id']}/start")
            if status != 204:
                raise RuntimeError(f"start: {status} {body!r}")

        for turn in range(2 if self.quick else 4):
            for peer in self.peers:
                if peer.socket is None:
                    continue
                start = time.perf_counter()
                with ThreadPoolExecutor(8) as pool:
                    list(pool.map(lambda _, peer=peer: one(peer), range(total)))
                took = time.perf_counter() - start
                peer.remove_all()
                time.sleep(SETTLE)
                if turn:
                    row.add(next(iter(peer.clients)), total / took)

    # ------------------------------------------------------------ memory

    def row_memory(self) -> None:
        total = 8 if self.quick else 20
        idle = self.row("daemon-memory", "daemon at rest, private (Docker: dockerd + containerd)", "MB", goal="≤ 1×")
        each = self.row("helper-memory", "helper of an idle container, private", "MB", goal="≤ 0.8×")
        for peer in self.peers:
            column = next(iter(peer.clients))
            resting = tree(peer.roots())
            if resting:
                idle.add(column, private(resting) / 1e6)
            for _ in range(total):
                peer.call("run", "-d", "--network", "none", "busybox", "sleep", "3600")
            time.sleep(1)
            up, samples = parents(), []
            for init in peer.inits():
                helpers, pid = set(), up.get(init, 1)
                while pid > 1 and pid not in resting:
                    helpers.add(pid)
                    pid = up.get(pid, 1)
                samples.append(private(helpers - {os.getpid()}) / 1e6)
            each.columns[column] = samples
            peer.remove_all()

    # ------------------------------------------------------------ logs

    def row_logs(self) -> None:
        size = 50 if self.quick else 200
        write = self.row(
            "log-write", f"log write, {size} MB of 100-byte lines, default driver", "MB/s", "more", goal="4×"
        )
        read = self.row("log-read", f"`logs` of {size} MB", "MB/s", "more", goal="5×")
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            lines = Path(folder) / "lines"
            lines.write_bytes(LINE * 100_000)  # 10 MB
            for _ in range(1 if self.quick else 3):
                for peer in self.peers:
                    args = ["run", "-d", "--name", "bench-log", "--network", "none", "-v", f"{folder}:/in:ro"]
                    try:
                        peer.call(*args, "busybox", "cat", *["/in/lines"] * (size // 10))
                        peer.call("wait", "bench-log")
                        took = lifetime(peer, "bench-log")
                        write.add(next(iter(peer.clients)), size / took)
                        for column, cli in peer.clients.items():
                            out = subprocess.run([*cli, "logs", "--tail", "1", "bench-log"], capture_output=True).stdout
                            if out != LINE:
                                raise RuntimeError(f"the log does not end as it should: {out[:120]!r}")
                            read.add(column, size / timed([*cli, "logs", "bench-log"]))
                    except RuntimeError as error:
                        write.notes[peer.name] = str(error)[:200]
                    peer.remove_all()

    # ------------------------------------------------------------ lists and images

    def row_ps(self) -> None:
        total = 50 if self.quick else 200
        row = self.row("ps", f"`ps -a` of {total}", "ms", goal="1×")
        for peer in self.peers:
            for _ in range(total):
                peer.call("create", "busybox", "true")
        self.interleave(row, lambda _peer, cli: timed([*cli, "ps", "-a"]) * 1000)
        for peer in self.peers:
            peer.remove_all()

    def row_pullmany(self) -> None:
        self._pulls("many")

    def row_pulltwo(self) -> None:
        self._pulls("two")

    def row_pulllayers(self) -> None:
        self._pulls("layers")

    def _pulls(self, key: str) -> None:
        turns = 1 if self.quick else 3
        with images.server(key, self.quick, turns + 1 if self.disks else 1) as (title, references):
            row = self.row(f"pull-{key}", f"pull and unpack: {title}", "s", goal="2×")
            waiting = {peer.name: list(references) for peer in self.peers}

            def reset(peer: Peer) -> None:
                peer.call("rmi", "-f", references[0], check=False)

            def step(peer: Peer, _: list[str]) -> float:
                return self.pull(peer, waiting[peer.name].pop() if self.disks else references[0])

            self.by_engine(row, step, turns, None if self.disks else reset)

    def row_save(self) -> None:
        row = self.row("save", "save: the image of many files", "s", goal="1.5×")
        with self._everywhere() as reference:
            self.by_engine(row, lambda peer, cli: self.save(cli, reference), 1 if self.quick else 3)

    def row_push(self) -> None:
        row = self.row("push", "push to a registry that has nothing: the image of many files", "s", goal="1.5×")
        with self._everywhere() as reference:
            self.by_engine(row, lambda peer, cli: self.push(peer, reference), 1 if self.quick else 3)

    @contextlib.contextmanager
    def _everywhere(self) -> Iterator[str]:
        """The image of many files in all engines: its reference."""
        with images.server("many", self.quick) as (_, (reference,)):
            for peer in self.peers:
                peer.pull(reference)
            yield reference
            for peer in self.peers:
                peer.call("rmi", "-f", reference, check=False)

    def by_engine(
        self,
        row: Row,
        step: Callable[[Peer, list[str]], float],
        n: int,
        reset: Callable[[Peer], None] | None = None,
    ) -> None:
        """As `interleave`, once for each engine: what counts is the daemon's work. `reset` comes before each turn."""
        for turn in range(min(n, self.n) + 1):
            if reset is not None:
                for peer in self.peers:
                    reset(peer)
                time.sleep(0 if self.quick else FORGOTTEN)
            for peer in self.peers:
                column, cli = next(iter(peer.clients.items()))
                if column in row.notes:
                    continue
                try:
                    took = step(peer, cli)
                except RuntimeError as error:
                    row.notes[column] = str(error)[:200]
                    continue
                if turn:
                    row.add(column, took)

    def row_load(self) -> None:
        """Docker's own form of archive, so that no engine reads what only it has written."""
        row = self.row("load", "load: the image of many files", "s", goal="1.5×")
        with images.archive(self.quick) as (path, name):

            def reset(peer: Peer) -> None:
                peer.call("rmi", "-f", name, check=False)

            def step(_: Peer, cli: list[str]) -> float:
                os.sync()
                return timed([*cli, "load", "-i", path])

            self.by_engine(row, step, 1 if self.quick else 2, reset)
            for peer in self.peers:
                reset(peer)

    def row_commit(self) -> None:
        row = self.row("commit", "commit of 100 MB and 2000 files", "s", goal="1.5×")
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            images.tree(Path(folder), 20e6 if self.quick else 100e6, 200 if self.quick else 2000)
            for peer in self.peers:
                args = ("run", "--name", "bench-commit", "--network", "none", "-v", f"{folder}:/in:ro", "busybox")
                peer.call(*args, "cp", "-r", "/in", "/out")

        made: list[tuple[Peer, str]] = []

        def step(peer: Peer, cli: list[str]) -> float:
            made.append((peer, f"bench-committed:{len(made)}"))
            os.sync()
            return timed([*cli, "commit", "bench-commit", made[-1][1]])

        self.interleave(row, step, n=1 if self.quick else min(3, self.n))
        for peer, name in made:
            peer.call("rmi", "-f", name)
        for peer in self.peers:
            peer.remove_all()

    def row_context(self) -> None:
        contexts.one_of_many(self)

    def row_build(self) -> None:
        """Ten RUN and a COPY without a cache, then again with it; the classic builder is Docker's way of building by itself."""
        os.environ["DOCKER_BUILDKIT"] = "0"
        cold = self.row("build", "build of 10 RUN and a COPY, no cache", "s", goal="5×")
        cached = self.row("build-cached", "the same, all of it in the cache", "s", goal="1×")
        lines = ["FROM busybox", *(f"RUN echo {number} > /{number}" for number in range(10)), "COPY Dockerfile /"]
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            (Path(folder) / "Dockerfile").write_text("\n".join(lines) + "\n")

            def build(peer: Peer, cli: list[str]) -> float:
                os.sync()
                return timed([*cli, "build", "--no-cache", "-t", "bench-built", folder])

            def again(peer: Peer, cli: list[str]) -> float:
                return timed([*cli, "build", "-t", "bench-built", folder])

            self.interleave(cold, build, n=1 if self.quick else min(3, self.n))
            for peer in self.peers:
                timed([*peer.cli, "build", "-t", "bench-built", folder])
            self.interleave(cached, again)
        for peer in self.peers:
            peer.call("rmi", "-f", "bench-built", check=False)

    def row_branches(self) -> None:
        """Two stages that do not need each other: at the same time they take as long as the longer one."""
        os.environ["DOCKER_BUILDKIT"] = "0"
        row = self.row("branches", "build of two stages that sleep 2 s and 3 s, no cache", "s", goal="3 s")
        text = (
            "FROM busybox AS a\nRUN sleep 2; echo > /a\nFROM busybox AS b\nRUN sleep 3; echo > /b\n"
            "FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
        )
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            (Path(folder) / "Dockerfile").write_text(text)

            def build(peer: Peer, cli: list[str]) -> float:
                return timed([*cli, "build", "--no-cache", "-t", "bench-built", folder])

            self.interleave(row, build, n=1 if self.quick else min(3, self.n))
        for peer in self.peers:
            peer.call("rmi", "-f", "bench-built", check=False)

    def row_pullmemory(self) -> None:
        """The highest private memory of the daemon while it pulls, above what it had before."""
        row = self.row("pull-memory", "pull of 1 GB: growth of the daemon, private", "MB", goal="64 MB")
        with images.one(int(2e8 if self.quick else 1e9)) as reference:
            for peer in self.peers:
                if not peer.roots():
                    continue  # podman has no daemon, its client does the work
                peer.call("version")
                before = private(tree(peer.roots()))
                highest, done = before, threading.Event()

                def watch(peer: Peer = peer, done: threading.Event = done) -> None:
                    nonlocal highest
                    while not done.wait(0.05):
                        highest = max(highest, private(tree(peer.roots())))

                thread = threading.Thread(target=watch)
                thread.start()
                try:
                    peer.pull(reference)
                finally:
                    done.set()
                    thread.join()
                row.add(next(iter(peer.clients)), (highest - before) / 1e6)
                peer.call("rmi", "-f", reference, check=False)

    def pull(self, peer: Peer, reference: str) -> float:
        """Seconds that pulling an image takes which is not there."""
        os.sync()
        start = time.perf_counter()
        peer.pull(reference)
        return time.perf_counter() - start

    def push(self, peer: Peer, reference: str) -> float:
        """Seconds that pushing an image takes. The registry is a new one: nothing is there, nothing can be mounted."""
        registry = Registry()
        name = f"{registry.address}/bench/pushed:1"
        peer.call("tag", reference, name)
        try:
            start = time.perf_counter()
            peer.push(name)
            return time.perf_counter() - start
        finally:
            registry.close()
            peer.call("rmi", name, check=False)

    def save(self, cli: list[str], reference: str) -> float:
        """Seconds that saving an image to a file takes."""
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            return timed([*cli, "save", "-o", f"{folder}/image.tar", reference])


def lifetime(peer: Peer, name: str) -> float:
    """Seconds between a container's start and end, as the engine's own record has them."""
    if peer.socket is not None:
        state = json.loads(peer.api("GET", f"/containers/{name}/json")[1])["State"]
    else:
        state = json.loads(peer.call("inspect", name))[0]["State"]
    return _seconds(state["FinishedAt"]) - _seconds(state["StartedAt"])


def _seconds(stamp: str) -> float:
    day, _, rest = stamp.partition("T")
    clock = rest[:8]
    fraction = rest[8:].rstrip("Z").partition("+")[0].partition("-")[0] or ".0"
    return time.mktime(time.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S")) + float(f"0{fraction}")


def first_request(program: str) -> float:
    """Seconds from the start of a client to the first byte of its first request, on a socket that never answers."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen(8)
        arrived: list[float] = []

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            arrived.append(time.perf_counter())
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        start = time.perf_counter()
        pid = spawn([program, "-H", f"unix://{path}", "ps"])
        thread.join(10)
        server.close()
        os.waitpid(pid, 0)
        if not arrived:
            raise RuntimeError(f"{program} sent no request")
        return arrived[0] - start


ROWS = [name.removeprefix("row_") for name in vars(Bench) if name.startswith("row_")]

"""kill -9 of whoever holds the Supervisor: monitors and containers go on, the next Supervisor takes them over.

The driver (this file run as a program) is a daemon reduced to its supervisor.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scow.model.task import ExitStatus, TaskSpec
from scow.monitor import exit_record
from scow.supervisor.supervisor import Supervisor
from scow.supervisor.task import RunningTask
from tests.integration.supervisor.harness import Area, Client, eventually, joined, monitor_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROOT = Path(__file__).resolve().parents[2]
COUNTER = "i=0; while :; do i=$((i+1)); echo line $i; [ $((i % 50)) = 0 ] && sleep 0.01; done"


def name(number: int) -> str:
    return f"k{number:02d}".ljust(64, "0")


class Driver:
    """A process that runs this file's `drive` with one scenario, until it is killed."""

    def __init__(self, area: Area, scenario: str) -> None:
        command = [sys.executable, "-m", "tests.crash.test_monitor_outlives_daemon", area.path, scenario]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment)

    def ready(self) -> dict[str, Any]:
        """What the driver has to say when its containers run."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the driver has died"
        said: dict[str, Any] = json.loads(line)
        return said

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        assert self.process.stdout.read() == b""  # nobody keeps the daemon's output open
        self.process.stdout.close()


async def drive(area: Area, scenario: str) -> None:
    supervisor = area.supervisor()
    await supervisor.start()
    await supervisor.adopt()
    said: dict[str, Any] = {}
    if scenario == "counters":
        tasks = await asyncio.gather(
            *(supervisor.spawn(area.sh(COUNTER, name=name(n), open_stdin=True)) for n in range(20))
        )
        said["pids"] = {task.id: task.pid for task in tasks}
        process = {**area.sh("x", name=name(0)).spec["process"], "args": ["sh", "-c", "sleep 1; exit 33"]}
        await tasks[0].exec("early", process, False, None, False)
    elif scenario == "short":
        for number, script in enumerate(("sleep 0.3; echo last words; exit 21", "sleep 1000", "sleep 1000", "exit 3")):
            task = await supervisor.spawn(area.sh(script, name=name(number)))
            said[task.id] = task.pid
        await task.wait()
    elif scenario == "starting":
        print(json.dumps(said), flush=True)
        while True:  # killed somewhere in here
            specs = [area.sh("sleep 1000", name=name(n)) for n in range(4)]
            tasks = await asyncio.gather(*map(supervisor.spawn, specs))
            for task in tasks:
                await task.signal(9)
                await task.wait()
                await supervisor.forget(task.id)
    print(json.dumps(said), flush=True)
    await asyncio.sleep(1000)


@pytest.fixture
def area() -> Iterator[Area]:
    made = Area()
    yield made
    made.close()


Body = Callable[[Supervisor, dict[str, RunningTask | ExitStatus]], Awaitable[None]]


def with_next_daemon(area: Area, body: Body) -> None:
    """Run `body` as the daemon that comes after."""

    async def main() -> None:
        supervisor = area.supervisor()
        await supervisor.start()
        try:
            async with asyncio.timeout(40):
                await body(supervisor, await supervisor.adopt())
        finally:
            await supervisor.close()

    asyncio.run(main())


def check_log(area: Area, container_id: str) -> int:
    """No line is missing, none doubled, none damaged; returns how many there are."""
    lines = [text for _, text in area.log(container_id)]
    assert lines == [f"line {n}\n" for n in range(1, len(lines) + 1)]
    return len(lines)


def complete_lines(area: Area, container_id: str) -> int:
    with open(area.log_path(container_id), "rb") as file:
        return file.read().count(b"\n")


def test_twenty_containers_go_on_and_are_taken_over(area: Area) -> None:
    driver = Driver(area, "counters")
    said = driver.ready()
    time.sleep(0.2)
    driver.kill()
    at_kill = complete_lines(area, name(7))
    time.sleep(0.3)
    assert complete_lines(area, name(7)) > at_kill  # nobody there, and the log goes on

    async def body(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        alive = {key: task for key, task in tasks.items() if isinstance(task, RunningTask)}
        assert {key: task.pid for key, task in alive.items()} == said["pids"]
        assert all(task.started_at for task in alive.values())

        ((exec_id, early),) = alive[name(0)].execs()  # from the daemon before
        assert exec_id == "early" and (await early.wait()).code == 33

        client = Client(stdout=True)
        await alive[name(1)].attach(client.attachment)
        client.handed_over()
        assert b"line " in joined(_whole_frames(await client.read_until(lambda data: data.count(b"line") > 3)))
        client.close()

        process = {**area.sh("x", name=name(2)).spec["process"], "args": ["sh", "-c", "echo from exec; exit 4"]}
        output = Client()
        running = await alive[name(2)].exec("late", process, False, output.attachment, False)
        output.handed_over()
        assert joined(await output.read_all()) == b"from exec\n"
        assert (await running.wait()).code == 4
        output.close()

        for number, task in enumerate(alive.values()):
            await task.signal(9 if number % 2 else 15)
            if not number % 2:
                await task.signal(9)
        for key, task in alive.items():
            assert (await task.wait()).code in (137, 143)
            assert check_log(area, key) > 50
            await supervisor.forget(key)
        await eventually(lambda: not area.leftovers())

    with_next_daemon(area, body)


def test_exits_while_no_daemon_is_there_are_known(area: Area) -> None:
    driver = Driver(area, "short")
    said = driver.ready()
    driver.kill()
    killed_monitor = _parent(said[name(2)])
    os.kill(killed_monitor, signal.SIGKILL)
    before = time.time_ns()
    deadline = time.monotonic() + 5
    while exit_record.read(f"{area.data_root}/{name(0)}/exit.json") is None and time.monotonic() < deadline:
        time.sleep(0.01)

    async def body(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        ended = tasks[name(0)]
        assert isinstance(ended, ExitStatus) and ended.code == 21
        assert before - 10**9 < ended.finished_at < time.time_ns()
        assert area.text(name(0)) == "last words\n"
        assert isinstance(tasks[name(1)], RunningTask)
        unknown, known = tasks[name(2)], tasks[name(3)]
        assert isinstance(unknown, ExitStatus) and unknown.code == 255
        assert not _alive(said[name(2)])
        assert isinstance(known, ExitStatus) and known.code == 3

    async def again(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        codes = {key: task.code for key, task in tasks.items() if isinstance(task, ExitStatus)}
        assert codes == {name(0): 21, name(2): 255, name(3): 3}  # kept until they are forgotten
        for key, task in tasks.items():
            if isinstance(task, RunningTask):
                await task.signal(9)
                await task.wait()
            await supervisor.forget(key)
        await eventually(lambda: not area.leftovers())

    with_next_daemon(area, body)
    with_next_daemon(area, again)


@pytest.mark.parametrize("delay", [0.0, 0.013, 0.031, 0.05, 0.08])
def test_a_daemon_killed_in_the_middle_of_starts_leaves_whole_or_nothing(area: Area, delay: float) -> None:
    driver = Driver(area, "starting")
    driver.ready()
    time.sleep(0.1 + delay)
    driver.kill()

    async def body(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        for key, task in tasks.items():
            if isinstance(task, RunningTask):
                assert task.pid and _alive(task.pid)
                await task.signal(9)
                assert (await task.wait()).code == 137
            await supervisor.forget(key)
        await eventually(lambda: not area.leftovers())

    with_next_daemon(area, body)


def targets(pid: int) -> list[str]:
    """What the descriptors of a process refer to; it opens and closes some meanwhile."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def test_garbage_on_the_control_socket_does_not_end_a_monitor(area: Area) -> None:
    async def first(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        task = await supervisor.spawn(area.sh("sleep 1000", name=name(0)))
        directory = os.open(f"{area.exec_root}/tasks/{name(0)}", os.O_PATH)
        null = os.open("/dev/null", os.O_RDONLY)
        packets = [
            b"",
            b"x",
            b"@",
            b"{}",
            b"[1]",
            b'"x"',
            b"\xff" * 100,
            b'{"id":1}',
            b'{"id":true,"op":"hello"}',
            b"{" * 50000,
        ]
        for operation in ("signal", "resize", "attach", "exec", "freeze", "nosuch"):
            packets += [
                json.dumps({"id": 1, "op": operation, **more}).encode()
                for more in (
                    {},
                    {"exec": 1, "number": -1, "height": "x"},
                    {"attachment": {}, "process": [], "frozen": 3},
                )
            ]
        for packet in packets:
            for fds in ((), (null,), (null,) * 5):
                peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                peer.connect(f"/proc/self/fd/{directory}/control")
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
                peer.sendmsg([packet], rights)
                peer.close()
        await asyncio.sleep(0.1)
        process = {**area.sh("x", name=name(0)).spec["process"], "args": ["sh", "-c", "exit 5"]}
        assert (await (await task.exec("e", process, False, None, False)).wait()).code == 5
        monitor = _parent(task.pid)
        await eventually(lambda: targets(monitor).count("/dev/null") <= 4)  # what came along was closed
        await task.signal(9)
        assert (await task.wait()).code == 137
        for fd in (directory, null):
            os.close(fd)

    with_next_daemon(area, first)


def test_an_exit_record_that_cannot_be_written_is_told_and_written_later(area: Area) -> None:
    async def body(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        spec: TaskSpec = area.sh("sleep 0.2; exit 12", name=name(0))
        task = await supervisor.spawn(spec)
        os.mkdir(f"{os.path.dirname(spec.exit_path)}/.exit.json.tmp")  # in the way, as a full disk would be
        assert (await task.wait()).code == 12
        assert exit_record.read(spec.exit_path) is None

    async def after(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        found = tasks[name(0)]
        assert isinstance(found, ExitStatus) and found.code == 12  # from the monitor, which keeps it
        path = f"{area.data_root}/{name(0)}"
        os.rmdir(f"{path}/.exit.json.tmp")
        await eventually(lambda: exit_record.read(f"{path}/exit.json") is not None)
        await supervisor.forget(name(0))
        await eventually(lambda: not area.leftovers())

    with_next_daemon(area, body)
    with_next_daemon(area, after)


def test_a_monitor_whose_container_was_deleted_ends(area: Area) -> None:
    """Nobody can ask for the exit any more: to wait for a place to write it would be to wait for ever."""

    async def body(supervisor: Supervisor, tasks: dict[str, RunningTask | ExitStatus]) -> None:
        spec: TaskSpec = area.sh("sleep 0.3; exit 3", name=name(1))
        task = await supervisor.spawn(spec)
        monitor = await monitor_of(task, supervisor)
        shutil.rmtree(os.path.dirname(spec.exit_path))
        assert (await task.wait()).code == 3
        await eventually(lambda: not alive(monitor))
        await supervisor.forget(name(1))
        await eventually(lambda: not area.leftovers())

    with_next_daemon(area, body)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _whole_frames(data: bytes) -> bytes:
    position = 0
    while len(data) - position >= 8:
        size = int.from_bytes(data[position + 4 : position + 8], "big")
        if len(data) - position - 8 < size:
            break
        position += 8 + size
    return data[:position]


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    asyncio.run(drive(Area(sys.argv[1]), sys.argv[2]))

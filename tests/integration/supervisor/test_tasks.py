"""Containers through supervisor, zygote and monitor: start, exit, streams, terminal, signals, freeze, undo."""

import asyncio
import contextlib
import errno
import json
import os
import resource
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from scow.errors import Conflict, InvalidArgument, NotFound, ScowError, StartFailure
from scow.model.task import LogTarget
from scow.monitor import exit_record
from scow.supervisor.supervisor import Supervisor
from tests.harness import descriptors
from tests.integration.supervisor.harness import PATIENCE, Area, Client, eventually, joined, monitor_of, unframe


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            found = [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return []
    return found + [below for each in found for below in children(each)]


RUNTIMES = ("native", "runc", "crun")
on_every_runtime = pytest.mark.parametrize("shared", RUNTIMES, indirect=True, scope="module")


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[Area]:
    name = getattr(request, "param", "native")
    program = shutil.which(name)
    if name != "native" and program is None:
        pytest.skip(f"{name} is not installed")
    made = Area()
    made.runtime = () if program is None else (program,)
    yield made
    made.close()


@pytest.fixture
def run(shared: Area) -> Iterator[Callable[[Callable[[Area, Supervisor], Awaitable[None]]], None]]:
    """Run an async test body with a started supervisor; then nothing may be left."""

    def go(body: Callable[[Area, Supervisor], Awaitable[None]]) -> None:
        async def main() -> None:
            supervisor = shared.supervisor()
            await supervisor.start()
            try:
                async with asyncio.timeout(PATIENCE):
                    await body(shared, supervisor)
                for container_id in os.listdir(f"{shared.exec_root}/tasks"):
                    await supervisor.forget(container_id)
                await eventually(lambda: not shared.leftovers())
            finally:
                zygote = supervisor.zygote_pid
                spares = children(zygote) if zygote else []
                await supervisor.close()
                shared.bury_all()
                await eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in spares))

        before = descriptors.opened()
        asyncio.run(main())
        descriptors.assert_no_new(before)

    yield go


Go = Callable[[Callable[[Area, Supervisor], Awaitable[None]]], None]


@on_every_runtime
def test_output_exit_code_and_record(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("echo out; echo err >&2; printf end; exit 3")
        before = time.time_ns()
        task = await supervisor.spawn(spec)
        assert before < task.started_at < time.time_ns()
        with contextlib.suppress(FileNotFoundError):  # it may have ended
            assert os.readlink(f"/proc/{task.pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
        status = await task.wait()
        assert (status.code, status.oom_killed) == (3, False)
        assert task.started_at < status.finished_at < time.time_ns()
        assert area.text(spec.id) == "out\nend" and area.text(spec.id, "stderr") == "err\n"
        record = exit_record.read(spec.exit_path)
        assert record is not None
        assert (record.code, record.finished_at, record.pid) == (3, status.finished_at, task.pid)
        assert await task.wait() == status
        with pytest.raises(NotFound):
            await task.signal(15)
        with pytest.raises(NotFound):
            await task.pids()
        await supervisor.forget(spec.id)
        assert not os.path.exists(spec.exit_path)
        await supervisor.forget(spec.id)

    run(body)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
        (["/etc"], 'exec: "/etc": is a directory'),
        (["/nosuch"], 'exec: "/nosuch": stat /nosuch: no such file or directory'),
    ],
)
def test_a_failed_start_leaves_nothing(run: Go, args: list[str], words: str) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.spec(args)
        with pytest.raises(StartFailure) as caught:
            await supervisor.spawn(spec)
        assert words in caught.value.message
        assert not area.leftovers() and not os.path.exists(spec.exit_path)
        good = await supervisor.spawn(area.spec(["true"], name=spec.id))
        assert (await good.wait()).code == 0

    run(body)


def test_a_log_that_cannot_be_opened_fails_the_start(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        for target, words in (
            (LogTarget("json-file", "/nosuch/x.log"), "failed to initialize logging driver: open /nosuch/x.log"),
            (
                LogTarget("json-file", "/tmp/x", {"max-size": "x"}),
                "failed to initialize logging driver: invalid size: 'x'",
            ),
        ):
            with pytest.raises(StartFailure, match=words):
                await supervisor.spawn(area.spec(["true"], target=target))
            assert not area.leftovers()

    run(body)


@on_every_runtime
def test_the_container_gets_nothing_of_ours(run: Go) -> None:
    """fds 0-2 only (CVE-2024-21626), default signal dispositions, no environment of the zygote."""

    async def body(area: Area, supervisor: Supervisor) -> None:
        for args, check in (
            (["ls", "/proc/self/fd"], lambda text: text.split() == ["0", "1", "2", "3"]),  # 3 is ls reading
            (
                ["grep", "-E", "Sig(Ign|Cgt|Blk)", "/proc/self/status"],
                lambda text: set(text.split()[1::2]) == {"0" * 16},
            ),
            (["env"], lambda text: "MALLOC" not in text and "LC_ALL" not in text),
        ):
            for how in ({}, {"terminal": True, "open_stdin": True}):
                spec = area.spec(args, **how)
                await (await supervisor.spawn(spec)).wait()
                assert check(area.text(spec.id)), area.text(spec.id)
                holder = await supervisor.spawn(other := area.sh("sleep 1000"))
                client = Client(framed=False)
                process = {**other.spec["process"], "args": args}
                await holder.exec("e", process, False, client.attachment, False)
                client.handed_over()
                assert check((await client.read_all()).decode())
                client.close()
                await holder.signal(9)
                await holder.wait()

    run(body)


def test_attached_streams_are_framed_and_end_with_the_container(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        both, only_err, raw = Client(), Client(stdout=False), Client(framed=False)
        clients = (both, only_err, raw)
        spec = area.sh("echo out; sleep 0.05; echo err >&2", attachments=[client.attachment for client in clients])
        task = await supervisor.spawn(spec)
        for client in clients:
            client.handed_over()
        assert unframe(await both.read_all()) == [(1, b"out\n"), (2, b"err\n")]
        assert unframe(await only_err.read_all()) == [(2, b"err\n")]
        assert await raw.read_all() == b"out\nerr\n"
        assert (await task.wait()).code == 0
        for client in clients:
            client.close()

    run(body)


@on_every_runtime
def test_stdin_with_half_close(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        client = Client(stdin=True, early=b"early ")
        spec = area.sh("cat; echo done", open_stdin=True, stdin_once=True, attachments=[client.attachment])
        task = await supervisor.spawn(spec)
        client.handed_over()
        await client.send(b"late\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert joined(await client.read_all()) == b"early late\ndone\n"
        assert (await task.wait()).code == 0
        client.close()

    run(body)


def test_megabytes_through_a_container_come_back_whole(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        client = Client(stdin=True, framed=False)
        spec = area.sh(
            "cat", open_stdin=True, stdin_once=True, attachments=[client.attachment], target=LogTarget("none")
        )
        task = await supervisor.spawn(spec)
        client.handed_over()
        data = os.urandom(1 << 20) * 8

        async def feed() -> None:
            await client.send(data)
            client.socket.shutdown(socket.SHUT_WR)

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            reading = group.create_task(client.read_all(20))
        assert reading.result() == data
        assert (await task.wait()).code == 0
        client.close()

    run(body)


def test_stdin_that_stays_open_outlives_its_clients(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("cat", open_stdin=True)
        task = await supervisor.spawn(spec)
        for text in (b"one\n", b"two\n"):
            client = Client(stdin=True)
            await task.attach(client.attachment)
            client.handed_over()
            await client.send(text)
            assert joined(await client.read_until(lambda data, text=text: text in data)) == text  # type: ignore[misc]
            client.close()
        await asyncio.sleep(0.02)
        assert not task.exit.done()
        await task.signal(9)
        assert (await task.wait()).code == 137
        assert area.text(spec.id) == "one\ntwo\n"

    run(body)


def test_stdin_of_a_vanished_client_ends_when_it_is_once(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        client = Client(stdin=True)
        spec = area.sh("cat; exit 7", open_stdin=True, stdin_once=True, attachments=[client.attachment])
        task = await supervisor.spawn(spec)
        client.handed_over()
        client.close()
        assert (await task.wait()).code == 7

    run(body)


@on_every_runtime
def test_terminal_size_detach_keys_and_reattach(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        keys = b"\x10\x11"
        client = Client(stdin=True, detach_keys=keys)
        spec = area.sh(
            "while read line; do busybox stty size; echo got $line; done; echo end",
            terminal=True,
            open_stdin=True,
            console_size=(31, 77),
            attachments=[client.attachment],
        )
        task = await supervisor.spawn(spec)
        client.handed_over()
        await client.send(b"a\x10b\n")
        data = await client.read_until(lambda data: b"got a" in data)
        assert b"31 77\r\n" in data and not data.startswith(b"\x01\0\0\0")  # raw, cooked by the terminal
        await client.send(b"tail" + keys + b"dropped")
        await client.read_all()  # the detach ends the stream, not the container
        assert not task.exit.done()
        again = Client(stdin=True, detach_keys=keys)
        await task.attach(again.attachment)
        again.handed_over()
        await task.resize(40, 100)
        await again.send(b"\nback\n")
        assert b"40 100" in await again.read_until(lambda data: b"got back" in data)
        await again.send(b"\x04")
        await again.read_all()
        assert (await task.wait()).code == 0
        text = area.text(spec.id)
        assert "got tail" in text and "dropped" not in text and {kind for kind, _ in area.log(spec.id)} == {"stdout"}
        with pytest.raises(NotFound):
            await task.resize(1, 1)
        client.close()
        again.close()

    run(body)


@on_every_runtime
def test_the_size_of_the_terminal_is_there_from_the_first_moment(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.spec(["busybox", "stty", "size"], terminal=True, console_size=(31, 77))
        await (await supervisor.spawn(spec)).wait()
        assert area.text(spec.id) == "31 77\r\n"
        spec = area.sh("sleep 1000")
        task = await supervisor.spawn(spec)
        with pytest.raises(InvalidArgument):
            await task.resize(1, 1)
        await task.signal(9)
        await task.wait()  # forgotten is what has ended

    run(body)


@on_every_runtime
def test_signals_and_freeze(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; while :; do sleep 0.01; done")
        task = await supervisor.spawn(spec)
        await asyncio.sleep(0.1)
        await task.signal(signal.SIGUSR1)
        await eventually(lambda: "usr1" in area.text(spec.id))
        pids = await task.pids()
        assert task.pid in pids
        await task.freeze(True)
        await task.signal(signal.SIGTERM)
        await asyncio.sleep(0.05)
        assert not task.exit.done()
        await task.freeze(False)
        assert (await task.wait()).code == 9
        assert "term" in area.text(spec.id)
        with pytest.raises(NotFound):
            await task.freeze(True)

    run(body)


@on_every_runtime
def test_exec_streams_codes_and_failures(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("sleep 1000")
        task = await supervisor.spawn(spec)

        def process(*args: str, **more: Any) -> dict[str, Any]:
            return {**spec.spec["process"], "args": list(args), **more}

        client = Client(stdin=True)
        running = await task.exec(
            "e1", process("sh", "-c", "cat; echo err >&2; exit 5"), False, client.attachment, True
        )
        client.handed_over()
        assert running.pid in await task.pids() and [key for key, _ in task.execs()] == ["e1"]
        await client.send(b"in\n")
        client.socket.shutdown(socket.SHUT_WR)
        data = await client.read_all()
        assert (joined(data), joined(data, 2)) == (b"in\n", b"err\n")
        assert (await running.wait()).code == 5
        assert task.execs() == []

        tty = Client(stdin=True)
        # crun hands the terminal over and goes on without waiting for its size
        sized = process("sh", "-c", "sleep 0.5; stty size", terminal=True, consoleSize={"height": 20, "width": 60})
        running = await task.exec("e2", sized, True, tty.attachment, True)
        tty.handed_over()
        assert await tty.read_all() == b"20 60\r\n"
        assert (await running.wait()).code == 0

        failing = Client()
        with pytest.raises(StartFailure, match="executable file (.nosuch. )?not found"):
            await task.exec("e3", process("nosuch"), False, failing.attachment, False)
        failing.attachment.connection.sendall(b"why")  # still the daemon's, to say why
        failing.handed_over()
        assert await failing.read_all() == b"why"

        with pytest.raises(InvalidArgument):
            await task.exec("e1", process("true"), False, None, False)
        detached = await task.exec(
            "e4", process("sh", "-c", "echo nobody reads this; kill -TERM $$"), False, None, False
        )
        assert (await detached.wait()).code == 143
        assert area.text(spec.id) == ""  # an exec's output is not the container's

        await task.exec("e5", process("sleep", "1000"), False, None, False)
        ((_, last),) = task.execs()
        await task.signal(9)
        await task.wait()
        assert (await last.wait()).code in (137, 255)
        with pytest.raises(NotFound):
            await task.exec("e6", process("true"), False, None, False)
        for each in (client, tty, failing):
            each.close()

    run(body)


def test_what_an_exec_leaves_behind_does_not_hold_its_client_for_ever(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("sleep 1000")
        task = await supervisor.spawn(spec)
        client = Client(framed=False)
        script = "(sleep 0.3; echo late; sleep 1000) & echo hi"
        running = await task.exec(
            "e", {**spec.spec["process"], "args": ["sh", "-c", script]}, False, client.attachment, False
        )
        client.handed_over()
        started = time.monotonic()
        assert await client.read_all() == b"hi\nlate\n"
        assert 1.5 < time.monotonic() - started < 4  # Docker waits 2 s
        assert (await running.wait()).code == 0
        assert len(await task.pids()) >= 2  # it lives on
        await task.signal(9)
        await task.wait()
        client.close()

    run(body)


def test_an_exit_is_told_before_the_client_sees_the_end(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("sleep 1000")
        task = await supervisor.spawn(spec)
        for number in range(20):
            client = Client()
            process = {**spec.spec["process"], "args": ["true"]}
            running = await task.exec(f"e{number}", process, False, client.attachment, False)
            client.handed_over()
            await client.read_all()
            assert running.exit.done()
            client.close()
        await task.signal(9)
        await task.wait()

    run(body)


@on_every_runtime
def test_oom(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("x=x; while :; do x=$x$x$x; done", resources={"memory": {"limit": 8 << 20, "swap": 8 << 20}})
        status = await (await supervisor.spawn(spec)).wait()
        assert (status.code, status.oom_killed) == (137, True)

    run(body)


def test_kept_sockets_live_as_long_as_the_container(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        kept = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(300)]  # more than one packet takes
        for each in kept:
            each.bind(("127.0.0.1", 0))
        port = kept[-1].getsockname()[1]
        spec = area.sh("sleep 1000", keep=kept)
        task = await supervisor.spawn(spec)
        for each in kept:
            each.close()
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with pytest.raises(OSError) as caught:
            probe.bind(("127.0.0.1", port))
        assert caught.value.errno == errno.EADDRINUSE
        await task.signal(9)
        await task.wait()
        await eventually(lambda: _can_bind(probe, port))
        probe.close()

    run(body)


def _can_bind(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def test_a_large_spec_and_a_large_exec(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("echo $#; sleep 1000")
        spec.spec["process"]["env"] += [f"V{i}=" + "x" * 1000 for i in range(400)]
        task = await supervisor.spawn(spec)
        process = {**spec.spec["process"], "args": ["sh", "-c", 'exit "${#V399}"']}
        running = await task.exec("e", process, False, None, False)
        assert (await running.wait()).code == 1000 % 256
        await task.signal(9)
        await task.wait()

    run(body)


@on_every_runtime
def test_two_of_one_name_conflict_and_a_restart_follows_at_once(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("sleep 1000")
        task = await supervisor.spawn(spec)
        with pytest.raises(Conflict):
            await supervisor.spawn(spec)
        for _ in range(5):
            await task.signal(9)
            assert (await task.wait()).code == 137
            task = await supervisor.spawn(spec)
        assert json.load(open(f"{area.exec_root}/tasks/{spec.id}/started"))["pid"] == task.pid
        await task.signal(9)
        await task.wait()

    run(body)


def test_many_at_once(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        specs = [area.sh(f"echo {number}; exit {number}") for number in range(16)]

        async def one(number: int) -> int:
            return (await (await supervisor.spawn(specs[number])).wait()).code

        assert await asyncio.gather(*map(one, range(16))) == list(range(16))

    run(body)


@on_every_runtime
def test_a_spawn_that_nobody_wants_any_more_is_undone(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        for delay in (0, 0.002, 0.005, 0.01):
            spec = area.sh("sleep 1000")
            spawning = asyncio.create_task(supervisor.spawn(spec))
            await asyncio.sleep(delay)
            spawning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await spawning
        await eventually(lambda: not area.leftovers())

    run(body)


def test_a_stuck_client_holds_neither_others_nor_the_end(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        stuck, good = Client(framed=False), Client(framed=False)
        size = 600_000  # fits what is kept for one client
        spec = area.sh(
            f"head -c {size} /dev/zero", attachments=[stuck.attachment, good.attachment], target=LogTarget("none")
        )
        task = await supervisor.spawn(spec)
        stuck.handed_over()
        good.handed_over()
        assert len(await good.read_all()) == size
        assert (await task.wait()).code == 0
        assert len(await stuck.read_all()) == size  # a slow reader loses nothing, also after the end
        stuck.close()
        good.close()

    run(body)


def test_a_slow_client_slows_the_container_and_loses_nothing(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        slow = Client(framed=False)
        size = 6 << 20
        spec = area.sh(f"head -c {size} /dev/zero; exit 0", attachments=[slow.attachment], target=LogTarget("none"))
        task = await supervisor.spawn(spec)
        slow.handed_over()
        await asyncio.sleep(0.3)
        assert not task.exit.done()  # held back by the client
        assert len(await slow.read_all(10)) == size
        assert (await task.wait()).code == 0
        slow.close()

    run(body)


def test_a_client_that_dies_frees_the_container_at_once(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        dying = Client(framed=False)
        spec = area.sh(f"head -c {6 << 20} /dev/zero; exit 4", attachments=[dying.attachment], target=LogTarget("none"))
        task = await supervisor.spawn(spec)
        dying.handed_over()
        await asyncio.sleep(0.2)
        dying.close()
        assert (await task.wait()).code == 4

    run(body)


def test_the_control_socket_is_private(run: Go) -> None:
    """CVE-2020-15257: no abstract socket, a 0700 directory."""

    async def body(area: Area, supervisor: Supervisor) -> None:
        task = await supervisor.spawn(area.sh("sleep 1000"))
        assert os.stat(f"{area.exec_root}/tasks").st_mode & 0o777 == 0o700
        with open("/proc/net/unix") as table:
            assert not [line for line in table if "@" in line and "scow" in line]
        await task.signal(9)
        await task.wait()

    run(body)


def test_the_zygote_is_replaced_and_monitors_live_on(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        task = await supervisor.spawn(spec := area.sh("sleep 0.3; echo alive; exit 6"))
        for _ in range(3):
            os.kill(supervisor.zygote_pid, signal.SIGKILL)
            other = await supervisor.spawn(area.sh("exit 8"))
            assert (await other.wait()).code == 8
        assert (await task.wait()).code == 6
        assert area.text(spec.id) == "alive\n"

    run(body)


@on_every_runtime
def test_a_killed_monitor_ends_its_container(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("while :; do sleep 1; done")
        task = await supervisor.spawn(spec)
        pid = task.pid
        os.kill(await monitor_of(task, supervisor), signal.SIGKILL)
        status = await task.wait()
        assert status.code == 255
        assert not os.path.exists(f"/proc/{pid}/cmdline") or not open(f"/proc/{pid}/cmdline").read()
        record = exit_record.read(spec.exit_path)
        assert record is not None and record.code == 255

    run(body)


def test_a_monitor_is_small_alone_and_holds_no_strangers(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        tasks = [await supervisor.spawn(area.sh("sleep 1000")) for _ in range(3)]
        await asyncio.sleep(0.2)
        monitor = await monitor_of(tasks[-1], supervisor)
        with open(f"/proc/{monitor}/smaps_rollup") as file:
            private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
        assert private < 1700, f"{private} KiB"
        assert os.getsid(monitor) == monitor
        fds = {fd: os.readlink(f"/proc/{monitor}/fd/{fd}") for fd in os.listdir(f"/proc/{monitor}/fd")}
        assert len(fds) <= 18, fds
        assert not [path for path in fds.values() if "scow.db" in path]
        for task in tasks:
            await task.signal(9)
            await task.wait()

    run(body)


def test_limits_of_descriptors_are_a_typed_error(run: Go) -> None:
    async def body(area: Area, supervisor: Supervisor) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/proc/self/fd"))
        await (await supervisor.spawn(area.sh("true"))).wait()
        try:
            for room in range(7):
                resource.setrlimit(resource.RLIMIT_NOFILE, (used + room, hard))
                try:
                    task = await supervisor.spawn(area.sh("true"))
                    await task.wait()
                except ScowError:
                    pass
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    run(body)

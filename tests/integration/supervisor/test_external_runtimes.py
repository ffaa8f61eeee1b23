"""What is special to external runtimes: their sentences, their deaths, what they are given and what they leave."""

import asyncio
import json
import os
import shutil
import signal
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from scow.errors import NotFound, ScowError, StartFailure
from scow.supervisor.supervisor import Supervisor
from tests.integration.supervisor.harness import PATIENCE, Area, Client, eventually

Body = Callable[[Area, Supervisor], Awaitable[None]]
CREATE = "failed to create task for container: failed to create shim task: OCI runtime create failed: "


@pytest.fixture
def area() -> Iterator[Area]:
    made = Area()
    yield made
    made.close()


def go(area: Area, body: Body) -> None:
    """Run a test's body with a supervisor; then no task, process or cgroup may be left."""

    async def main() -> None:
        supervisor = area.supervisor()
        await supervisor.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await body(area, supervisor)
                for container_id in os.listdir(f"{area.exec_root}/tasks"):
                    await supervisor.forget(container_id)
                await eventually(lambda: not area.leftovers())
        finally:
            await supervisor.close()
            area.bury_all()

    asyncio.run(main())


def installed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def wrapper(area: Area, script: str) -> str:
    """A runtime of the test's own; `$verb` is what it is asked for."""
    path = Path(area.path) / "runtime"
    find = "for word; do case $word in create|start|exec|delete) verb=$word; break;; esac; done\n"
    path.write_text(f"#!/bin/busybox sh\n{find}{script}\n")
    path.chmod(stat.S_IRWXU)
    return str(path)


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        (
            "runc",
            ["nosuch"],
            'runc create failed: unable to start container process: exec: "nosuch": executable file not',
        ),
        ("runc", ["/nosuch"], 'exec: "/nosuch": stat /nosuch: no such file or directory: unknown'),
        ("crun", ["nosuch"], "executable file `nosuch` not found in $PATH: No such file or directory: unknown"),
    ],
)
def test_its_own_words_are_told(area: Area, name: str, args: list[str], words: str) -> None:
    area.runtime = (installed(name),)

    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.spec(args)
        with pytest.raises(StartFailure) as caught:
            await supervisor.spawn(spec)
        assert caught.value.message.startswith(CREATE) and words in caught.value.message
        assert not area.leftovers()
        good = await supervisor.spawn(area.spec(["true"], name=spec.id))
        assert (await good.wait()).code == 0

    go(area, body)


def test_an_unknown_user_is_told_in_our_words(area: Area) -> None:
    area.runtime = (installed("runc"),)

    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.spec(["true"])
        spec.spec["process"]["user"] = {"uid": 0, "gid": 0, "username": "nobody-here"}
        with pytest.raises(NotFound, match="^unable to find user nobody-here: no matching entries in passwd file$"):
            await supervisor.spawn(spec)
        assert not area.leftovers()

    go(area, body)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", CREATE + "unable to retrieve OCI runtime error: {path}: exit status 3: unknown"),
        ("kill -9 $$", CREATE + "unable to retrieve OCI runtime error: {path}: signal: 9: unknown"),
        ('[ $verb != create ] || {{ {runc} "$@"; kill -9 $$; }}; exec {runc} "$@"', "signal: 9"),
        ('[ $verb != start ] || exit 7; exec {runc} "$@"', "OCI runtime start failed: unable to retrieve"),
        ("exit 0", "the runtime {path} has not told the pid of container"),
    ],
)
def test_one_that_fails_or_is_killed_leaves_nothing(area: Area, script: str, words: str) -> None:
    """At whatever verb: no process, no cgroup, no directory, no mount."""
    runc = installed("runc")
    path = wrapper(area, script.format(runc=runc))
    area.runtime = (path,)

    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.spec(["sleep", "1000"])
        with pytest.raises(ScowError) as caught:
            await supervisor.spawn(spec)
        assert words.format(path=path) in caught.value.message
        assert not area.leftovers()

    go(area, body)


def test_a_missing_program(area: Area) -> None:
    area.runtime = ("/nosuch/runtime",)

    async def body(area: Area, supervisor: Supervisor) -> None:
        with pytest.raises(StartFailure) as caught:
            await supervisor.spawn(area.spec(["true"]))
        why = "fork/exec /nosuch/runtime: no such file or directory: unknown"
        assert caught.value.message == f"{CREATE}unable to retrieve OCI runtime error: {why}"
        assert not area.leftovers()

    go(area, body)


def test_what_it_is_given(area: Area) -> None:
    """Its own arguments first, a clean environment, no descriptors but the streams, default signals; no mount is seen."""
    runc = installed("runc")
    seen = f"{area.path}/seen"
    script = f"""{{ echo $verb "$1"; busybox env; ls -1 /proc/self/fd; grep -E 'Sig(Ign|Blk)' /proc/self/status; }} >> {seen}
shift; exec {runc} "$@" """
    area.runtime = (wrapper(area, script), "--own")

    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("sleep 1000")
        task = await supervisor.spawn(spec)
        with open("/proc/self/mountinfo") as mounts:
            assert area.exec_root not in mounts.read()
        held = sorted(int(word) for word in os.listdir(f"/proc/{task.pid}/fd"))
        assert held == [0, 1, 2]
        client = Client(framed=False)
        await task.exec("e", {**spec.spec["process"], "args": ["true"]}, False, client.attachment, False)
        client.handed_over()
        await client.read_all()
        client.close()
        await task.signal(9)
        assert (await task.wait()).code == 137

    go(area, body)
    text = Path(seen).read_text()
    assert [line.split()[0] for line in text.splitlines() if line.endswith(" --own")] == [
        *("create", "start", "exec", "delete"),
    ]
    variables = {line.partition("=")[0] for line in text.splitlines() if "=" in line}
    assert variables <= {"PATH", "SHLVL", "PWD", "OLDPWD"}, variables
    assert {line for line in text.splitlines() if line.isdigit()} <= {"0", "1", "2", "3"}  # 3 is ls reading
    assert {line.split()[1] for line in text.splitlines() if line.startswith("Sig")} == {"0" * 16}


@pytest.mark.parametrize("name", ["runc", "crun"])
def test_the_bundle(area: Area, name: str) -> None:
    """The document is the specification's: users in numbers, the profile as JSON, nothing of scow's own."""
    area.runtime = (installed(name),)

    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh(
            "id; grep -E 'Seccomp:' /proc/self/status; chmod 1 /etc; cat /proc/sys/kernel/domainname; sleep 100"
        )
        process = spec.spec["process"]
        process["user"] = {"uid": 0, "gid": 0, "username": "app:staff", "additionalGids": ["wheel"]}
        spec.spec["domainname"] = "example.org"
        spec.spec["annotations"] = {"org.scow.rlimits.explicit": "", "mine": "yes"}
        spec.spec["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}],
        }
        most = 2**40
        process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": most, "hard": most}]  # a default: gives way
        task = await supervisor.spawn(spec)
        document = json.loads(Path(f"{area.exec_root}/tasks/{spec.id}/oci/config.json").read_text())
        assert document["process"]["user"] == {"uid": 1000, "gid": 50, "additionalGids": [50, 10]}
        assert document["annotations"] == {"mine": "yes"} and "domainname" not in document
        assert document["linux"]["seccomp"] == spec.spec["linux"]["seccomp"]
        await eventually(lambda: "example.org" in area.text(spec.id))
        text = area.text(spec.id)
        assert "uid=1000(app) gid=50(staff) groups=10(wheel),50(staff)" in text and "Seccomp:\t2" in text
        assert "ermission denied" in area.text(spec.id, "stderr")
        await task.signal(9)
        await task.wait()

    go(area, body)


def test_the_exit_is_known_when_the_monitor_is_killed_while_the_runtime_tidies_up(area: Area) -> None:
    runc = installed("runc")
    mark = f"{area.path}/deleting"
    area.runtime = (
        wrapper(area, f'[ $verb != delete ] || {{ : > {mark}; exec busybox sleep 1000; }}; exec {runc} "$@"'),
    )

    async def body(area: Area, supervisor: Supervisor) -> None:
        spec = area.sh("exit 7")
        task = await supervisor.spawn(spec)
        await eventually(lambda: os.path.exists(mark))
        task.directory.end_monitor()
        assert (await task.wait()).code == 7

    go(area, body)


def test_a_monitor_that_is_killed_at_the_start_takes_it_along(area: Area) -> None:
    runc = installed("runc")
    mark = f"{area.path}/waiting"
    wait = f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec busybox sleep 1000"
    script = f'[ $verb != create ] || {{ {wait}; }}; exec {runc} "$@"'
    area.runtime = (wrapper(area, script),)

    async def body(area: Area, supervisor: Supervisor) -> None:
        starting = asyncio.create_task(supervisor.spawn(area.spec(["true"])))
        await eventually(lambda: os.path.exists(mark))
        pid = int(Path(mark).read_text())
        starter = _parent(pid)
        os.kill(_parent(starter), signal.SIGKILL)
        with pytest.raises(Exception, match="has died at its start"):
            await starting
        await eventually(lambda: not os.path.exists(f"/proc/{pid}") and not os.path.exists(f"/proc/{starter}"))
        assert not area.leftovers()

    go(area, body)


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])

"""The process of a container: user, command, directory, limits, terminal; and what goes wrong with them."""

import fcntl
import os
import signal
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from scow.errors import InvalidArgument, StartFailure, Unsupported
from scow.linux import libc
from tests.harness import descriptors
from tests.integration.runtime.harness import Area, Running, default_spec

_CREATE = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)
_EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "


def with_process(args: list[str], **changes: Any) -> dict[str, Any]:
    spec = default_spec(args)
    spec["process"].update(changes)
    return spec


def children() -> set[int]:
    """Our children, those that are dead and not yet waited for among them."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            found.update(int(word) for word in file.read().split())
    return found


COMMANDS = [
    ("nosuch", 'exec: "nosuch": executable file not found in $PATH: unknown'),
    ("/etc", 'exec: "/etc": is a directory: unknown: permission denied'),
    ("/x", 'exec: "/x": stat /x: no such file or directory: unknown'),
    ("./x", 'exec: "./x": stat ./x: no such file or directory: unknown'),
    ("/etc/passwd", 'exec: "/etc/passwd": permission denied: unknown'),
    ("", 'exec: "": executable file not found in $PATH: unknown'),
    ('a"b', 'exec: "a\\"b": executable file not found in $PATH: unknown'),
]


@pytest.mark.parametrize(("command", "message"), COMMANDS)
def test_commands_that_cannot_be_executed(area: Area, command: str, message: str) -> None:
    """Docker 26's sentences, from which clients make 126 and 127; nothing runs afterwards."""
    before = children()  # another module's test may have left one that has yet to be waited for
    with pytest.raises(StartFailure) as raised:
        area.run(default_spec([command]))
    assert raised.value.message == _CREATE + message
    assert children() <= before
    running = area.start(default_spec(["sleep", "100"]))
    with pytest.raises(StartFailure) as raised:
        running.execute([command])
    assert raised.value.message == _EXEC + message
    assert area.cgroups[-1].pids() == [running.pid]
    running.kill()


@pytest.mark.parametrize(
    ("content", "reason"), [("x\n", "exec format error"), ("#!/no/such\n", "no such file or directory")]
)
def test_what_the_kernel_refuses_to_execute(area: Area, content: str, reason: str) -> None:
    """As with Docker the container has started then: it says why on stderr and ends with 1."""
    path = f"{area.lower}/bin/odd"
    Path(path).write_text(content)
    os.chmod(path, 0o755)
    result = area.run(default_spec(["odd"]))
    assert (result.code, result.err) == (1, f"exec /bin/odd: {reason}\n")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"uid": 0, "gid": 0}, "0 0 0 /root"),
        ({"uid": 1000, "gid": 50, "additionalGids": [7, 50]}, "1000 50 50 7 /home/app"),
        ({"username": "app"}, "1000 1000 1000 50 10 /home/app"),
        ({"username": "1000"}, "1000 1000 1000 50 10 /home/app"),
        ({"username": "daemon:staff"}, "1 50 50 /usr/sbin"),
        ({"username": "4000:4001"}, "4000 4001 4001 /"),
        ({"username": "app", "additionalGids": [7, "daemon"]}, "1000 1000 1000 50 10 7 1 /home/app"),
    ],
)
def test_users(area: Area, user: dict[str, Any], expected: str) -> None:
    """CVE-2022-36109: exactly the groups of the image, the primary one and those asked for; in init and in exec."""
    script = (
        "s=/proc/self/status; set -- $(grep ^Uid $s) $(grep ^Gid $s); echo $2 $7 $(grep ^Groups $s | cut -f2) $HOME"
    )
    wanted = sorted(expected.split())
    assert sorted(area.run(with_process(["sh", "-c", script], user=user)).out.split()) == wanted
    running = area.start(default_spec(["sleep", "100"]))
    assert sorted(running.execute(["sh", "-c", script], user=user).out.split()) == wanted
    running.kill()


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("app:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("0:2147483648", "uids and gids must be in range 0-2147483647"),
        ("0x0", "unable to find user 0x0: no matching entries in passwd file"),
    ],
)
def test_bad_users(area: Area, user: str, message: str) -> None:
    """CVE-2024-40635, CVE-2026-46680, CVE-2026-30892: one parser for create and exec, no fallback."""
    with pytest.raises(StartFailure) as raised:
        area.run(with_process(["true"], user={"username": user}))
    assert raised.value.message == message
    running = area.start(default_spec(["sleep", "100"]))
    with pytest.raises(StartFailure) as raised:
        running.execute(["true"], user={"username": user})
    assert raised.value.message == message
    running.kill()


@pytest.mark.parametrize("make", ["fifo", "zero", "sparse", "proc"])
def test_hostile_passwd(area: Area, make: str) -> None:
    """CVE-2026-47262, CVE-2024-9676: no hang and no memory."""
    path = f"{area.lower}/etc/passwd"
    os.unlink(path)
    if make == "fifo":
        os.mkfifo(path)
    elif make == "sparse":
        with open(path, "wb") as file:
            file.truncate(5 << 30)
    else:
        os.symlink("/dev/zero" if make == "zero" else "/proc/self/environ", path)
    begin = sum(os.times()[:4])
    with pytest.raises(StartFailure, match="unable to find user app"):
        area.run(with_process(["true"], user={"username": "app"}))
    assert area.run(default_spec(["true"])).code == 0
    assert sum(os.times()[:4]) - begin < 2, "seconds of processor time: it read more than it had to"


@pytest.mark.parametrize("number", [*range(12), 200])
@pytest.mark.parametrize("through_link", [False, True])
def test_working_directory_is_never_an_engine_fd(area: Area, number: int, through_link: bool) -> None:
    """CVE-2024-21626."""
    cwd = f"/proc/self/fd/{number}"
    if through_link:
        os.symlink(cwd, f"{area.lower}/lnk{number}")
        cwd = f"/lnk{number}"
    with pytest.raises(StartFailure):
        area.run(with_process(["pwd"], cwd=cwd))


def test_working_directory(area: Area) -> None:
    assert area.run(with_process(["pwd"], cwd="/made/by/the/engine")).out == "/made/by/the/engine\n"
    os.symlink("/usr", f"{area.lower}/u")
    assert area.run(with_process(["sh", "-c", "pwd -P"], cwd="/u/bin")).out == "/usr/bin\n"
    assert area.run(with_process(["pwd"], cwd="/root", user={"username": "app"})).out == "/root\n"
    with pytest.raises(StartFailure, match="^Cannot mkdir: /etc/passwd is not a directory$"):
        area.run(with_process(["true"], cwd="/etc/passwd"))
    with pytest.raises(StartFailure, match="the working directory 'rel' is invalid, it needs to be an absolute path"):
        area.run(with_process(["true"], cwd="rel"))
    running = area.start(default_spec(["sleep", "100"]))
    for cwd, reason in (
        ("/nonexist", "no such file or directory"),
        ("/etc/passwd", "not a directory"),
        ("/proc/self/fd/7", ""),
    ):
        with pytest.raises(StartFailure) as raised:
            running.execute(["true"], cwd=cwd)
        assert raised.value.message.startswith(f'{_EXEC}chdir to cwd ("{cwd}") set in config.json failed: {reason}')
    running.kill()


def test_working_directory_outside_is_not_made(area: Area) -> None:
    """CVE-2026-55686."""
    outside = f"{area.path}/outside"
    os.makedirs(outside)
    for name in ("a", "up"):
        os.symlink(outside if name == "a" else f"../../../../../../..{outside}", f"{area.lower}/{name}")
        with pytest.raises(StartFailure):
            area.run(with_process(["true"], cwd=f"/{name}/b/c"))
    assert os.listdir(outside) == []


def test_environment(area: Area, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2021-3602, CVE-2026-57231: the spec's entries and HOME, nothing of ours."""
    monkeypatch.setenv("CANARY_TOKEN", "secret")
    env = ["PATH=/bin", "A=1", "A=2", "CANARY_TOKEN", "=x", "UMLAUT=ä\udcff"]
    out = area.run(with_process(["env"], env=env)).out
    assert sorted(out.splitlines()) == ["A=2", "HOME=/root", "PATH=/bin", "UMLAUT=ä\ufffd"]


def test_limits(area: Area) -> None:
    limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": -1}]
    running = area.start(with_process(["sleep", "100"], rlimits=limits))
    text = Path(f"/proc/{running.pid}/limits").read_text()
    running.kill()
    assert [line.split()[3:5] for line in text.splitlines() if line.startswith("Max open files")] == [["100", "200"]]
    assert [line.split()[4:6] for line in text.splitlines() if line.startswith("Max core file")] == [["0", "unlimited"]]


def _may_raise_limits() -> bool:
    text = Path("/proc/self/status").read_text()
    return bool(int(text.split("CapEff:")[1].split()[0], 16) >> 24 & 1)


@pytest.mark.skipif(_may_raise_limits(), reason="CAP_SYS_RESOURCE is there: every limit can be raised")
def test_limits_that_cannot_be_raised(area: Area) -> None:
    """Defaults give way; what was asked for by name is an error in Docker's words."""
    _, most = libc.get_limit(7)
    spec = with_process(
        ["sleep", "100"], rlimits=[{"type": "RLIMIT_NOFILE", "soft": most + 1, "hard": most + 5}], oomScoreAdj=-900
    )
    running = area.start(spec)
    assert f"{most} " in Path(f"/proc/{running.pid}/limits").read_text()
    running.kill()
    spec["annotations"] = {"org.scow.rlimits.explicit": "RLIMIT_NOFILE"}
    with pytest.raises(StartFailure, match="error setting rlimit type 7: operation not permitted"):
        area.start(spec)
    spec["annotations"] = {"org.scow.rlimits.explicit": ["oom_score_adj"]}
    with pytest.raises(StartFailure, match="oom_score_adj to -900: permission denied"):
        area.start(spec)


def test_oom_score(area: Area) -> None:
    running = area.start(with_process(["sleep", "100"], oomScoreAdj=321))
    assert Path(f"/proc/{running.pid}/oom_score_adj").read_text() == "321\n"
    running.kill()


def test_unknown_limit(area: Area) -> None:
    with pytest.raises(StartFailure, match="invalid rlimit type 'RLIMIT_FOO'"):
        area.run(with_process(["true"], rlimits=[{"type": "RLIMIT_FOO", "soft": 1, "hard": 1}]))


def read_until(fd: int, end: bytes) -> bytes:
    text = b""
    while end not in text:
        text += os.read(fd, 4096)
    return text


@pytest.mark.parametrize("user", ["root", "app"])
def test_terminal(area: Area, user: str) -> None:
    """CVE-2025-52565: the console is the pty of the container's own devpts; the user owns it."""
    script = "tty; stat -c '%t:%T %U' /dev/console $(tty); stty size 2>/dev/null; read x; echo got $x"
    spec = with_process(["sh", "-c", script], user={"username": user})
    os.link(f"{area.lower}/bin/busybox", f"{area.lower}/bin/stty")
    before = children()
    running = area.start(spec, terminal=True, console_size=(33, 77))
    console = running.launched.console
    assert console is not None
    os.write(console, b"line\n")
    text = read_until(console, b"got line").decode()
    assert "/dev/pts/0" in text and text.count(f"88:0 {user}") == 2 and "33 77" in text
    fcntl.ioctl(console, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
    assert os.waitpid(running.pid, 0)[1] == 0
    os.close(console)
    assert children() <= before


def test_interrupt_by_terminal_and_signal(area: Area) -> None:
    running = area.start(
        default_spec(["sh", "-c", "trap 'exit 5' INT; echo ready; while :; do sleep 1; done"]), terminal=True
    )
    console = running.launched.console
    assert console is not None
    read_until(console, b"ready")
    os.write(console, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(running.pid, 0)[1]) == 5
    os.close(console)


def test_ignored_signals_are_not_inherited(area: Area) -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGUSR1, 40)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    action = libc.function(libc.load("libc.so.6"), "syscall", "l", "llssL")
    number_of_call = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
    own = [32, 33]  # those that the C library keeps for itself, which some parents leave ignored
    for number in own:
        assert action(number_of_call, number, (1).to_bytes(8, "little") + bytes(24), None, 8) == 0
    try:
        text = area.run(default_spec(["cat", "/proc/self/status"])).out
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked | {signal.SIGUSR2}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in own:
            action(number_of_call, number, bytes(32), None, 8)
    for key in ("SigIgn", "SigBlk", "SigCgt"):
        assert text.split(f"{key}:")[1].split()[0] == "0" * 16


def test_streams_that_overlap_the_standard_numbers(area: Area) -> None:
    """stdout given as fd 0 and so on: nothing is mixed up. In a child, which may lose its own streams."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(write, 0)
            os.dup2(null, 1)
            running = area.start(default_spec(["sh", "-c", "echo out; echo err >&2"]), stdio=(1, 0, 0))
            os.waitpid(running.pid, 0)
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    assert os.read(read, 100) == b"out\nerr\n"
    os.close(read)


def test_init_dies_with_a_monitor_that_dies_early(area: Area) -> None:
    """Between clone and execve the child is tied to its monitor: no half-made container survives it."""
    assert subprocess.run(["true"], check=True).returncode == 0
    running = area.start(default_spec(["sleep", "100"]))
    assert Path(f"/proc/{running.pid}/comm").read_text() == "sleep\n"
    running.kill()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"linux": {"namespaces": [{"type": "pid"}]}}, "mount namespace"),
        ({"linux": {"namespaces": [{"type": "mount"}, {"type": "foo"}]}}, "'foo'"),
        ({"linux": {"namespaces": [{"type": "mount"}, {"type": "mount"}]}}, "twice"),
        ({"root": {"path": ""}}, "root path"),
    ],
)
def test_impossible_specs(area: Area, change: dict[str, Any], message: str) -> None:
    spec = default_spec(["true"], **change)
    group = area.cgroup({})
    from scow.runtime.launch import launch

    with pytest.raises(InvalidArgument, match=message):
        launch(spec, [], cgroup=group, netns=None, stdio=(0, 1, 2))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"hooks": {"prestart": [{"path": "/x"}]}}, "hooks"),
        ({"process": {"apparmorProfile": "x", "args": ["true"]}}, "process.apparmorProfile"),
        ({"linux": {"personality": {"domain": "LINUX32"}}}, "linux.personality"),
        ({"mounts": [{"destination": "/x", "type": "bind", "uidMappings": [{}]}]}, "id-mapped mounts"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(area: Area, change: dict[str, Any], name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        area.run(default_spec(["true"], **change))


def test_pids_of_a_failed_start_are_gone(area: Area) -> None:
    with pytest.raises(StartFailure):
        area.run(default_spec(["nosuch"]))
    assert area.cgroups[-1].pids() == []


def test_many_at_once_leave_no_fds(area: Area) -> None:
    before = descriptors.opened()
    running: list[Running] = [area.start(default_spec(["sleep", "100"])) for _ in range(4)]
    for each in running:
        with pytest.raises(StartFailure):
            each.execute(["nosuch"])
        each.kill()
        os.close(each.launched.pidfd)
    descriptors.assert_no_new(before)

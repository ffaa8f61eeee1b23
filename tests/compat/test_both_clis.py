"""The same commands by the docker CLI and by scow's own: one expectation for both."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.clients import ROOT, Clients, await_true

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["docker", "scow"])
def cli(request: pytest.FixtureRequest, clean: Clients) -> Iterator[Run]:
    """A runner: cli("run", "--rm", …). `cli.command` are the first words."""
    if request.param == "docker":
        request.getfixturevalue("needs_docker")
        if subprocess.run(["docker", "--version"], capture_output=True).returncode:
            pytest.skip("no docker client")
    program = "docker" if request.param == "docker" else str(ROOT / "bin/scow")

    def run(*args: str, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        return clean.run([program, "-H", clean.host, *args], **kwargs)

    run.command = [program, "-H", clean.host]  # type: ignore[attr-defined]
    yield run


def out(cli: Run, *args: str, **kwargs: Any) -> str:
    done = cli(*args, **kwargs)
    assert done.returncode == 0, done
    return done.stdout


def terminal(cli: Run, *args: str, typed: bytes = b"", until: bytes = b"", timeout: float = 20) -> tuple[int, bytes]:
    """Run a command on a terminal of its own; `typed` is sent once `until` has been seen. (exit code, all it said)."""
    main, other = pty.openpty()
    command = [*cli.command, *args]  # type: ignore[attr-defined]
    process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, start_new_session=True, close_fds=True)
    os.close(other)
    said, sent, end = b"", not typed, time.monotonic() + timeout
    while time.monotonic() < end:
        if select.select([main], [], [], 0.1)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError:
                break
            if not piece:
                break
            said += piece
        if not sent and until in said:
            os.write(main, typed)
            sent = True
        if process.poll() is not None and not select.select([main], [], [], 0)[0]:
            break
    os.close(main)
    return process.wait(5), said


@pytest.mark.parametrize(
    ("command", "code"),
    [(["true"], 0), (["false"], 1), (["sh", "-c", "exit 42"], 42), (["nothing"], 127), (["/etc"], 126)],
)
def test_exit_codes(cli: Run, command: list[str], code: int) -> None:
    assert cli("run", "--rm", "busybox", *command).returncode == code


def test_engine_errors_exit_125(cli: Run) -> None:
    assert cli("run", "--rm", "--no-such-flag", "busybox").returncode == 125
    assert cli("run", "--rm", "--network", "no-such-net", "busybox", "true").returncode == 125


def test_streams_stay_apart(cli: Run) -> None:
    done = cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_stdin_is_passed_and_closed(cli: Run) -> None:
    assert out(cli, "run", "--rm", "-i", "busybox", "wc", "-c", input="x" * 300_000).strip() == "300000"


def test_large_output_is_whole(cli: Run) -> None:
    text = out(cli, "run", "--rm", "busybox", "seq", "1", "200000")
    assert text == "".join(f"{n}\n" for n in range(1, 200001))


def test_a_terminal(cli: Run) -> None:
    code, said = terminal(
        cli, "run", "--rm", "-it", "busybox", "sh", typed=b"tty; echo $((40+2)); exit 3\n", until=b"#"
    )
    assert code == 3 and b"/dev/pts/0" in said and b"\n42\r\n" in said


def test_exec_on_a_terminal(cli: Run) -> None:
    out(cli, "run", "-d", "--name", "both", "busybox", "sleep", "600")
    code, said = terminal(cli, "exec", "-it", "both", "sh", "-c", "tty; exit 5")
    assert code == 5 and b"/dev/pts/" in said


def test_detach_keys(cli: Run) -> None:
    code, said = terminal(cli, "run", "-it", "--name", "keys", "busybox", "sh", typed=b"\x10\x11", until=b"#")
    assert code == 0, said
    assert out(cli, "inspect", "-f", "{{.State.Running}}", "keys") == "true\n"


def test_signals_reach_the_container(cli: Run) -> None:
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do usleep 20000; done"
    command = [*cli.command, "run", "--rm", "busybox", "sh", "-c", script]  # type: ignore[attr-defined]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.stdout.read() == "got\n"
    assert process.wait(10) == 9


def test_an_interrupt_is_heard_where_a_script_has_it_ignored(cli: Run) -> None:
    out(cli, "run", "-d", "--name", "talks", "busybox", "sh", "-c", "echo ready; sleep 600")
    command = ["env", "--ignore-signal=INT", *cli.command, "logs", "-f", "talks"]  # type: ignore[attr-defined]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


def test_life(cli: Run) -> None:
    identity = out(
        cli, "run", "-d", "--name", "web", "-p", "127.0.0.1::80", "--label", "k=v", "busybox", "sleep", "600"
    ).strip()
    assert re.fullmatch("[0-9a-f]{64}", identity)
    assert out(cli, "ps", "-q", "--no-trunc").strip() == identity
    assert out(cli, "ps", "--format", "{{.Names}} {{.Image}}", "--filter", "label=k=v") == "web busybox\n"
    assert out(cli, "ps", "-q", "--filter", "label=k=w") == ""
    assert re.fullmatch(r"80/tcp -> 127\.0\.0\.1:\d+\n", out(cli, "port", "web"))
    assert "sleep 600" in out(cli, "top", "web")
    assert out(cli, "pause", "web") == "web\n"
    assert "(Paused)" in out(cli, "ps")
    assert out(cli, "unpause", "web") == "web\n"
    assert out(cli, "rename", "web", "web2") == ""
    assert out(cli, "stop", "-t", "0", "web2") == "web2\n"
    assert "Exited (137)" in out(cli, "ps", "-a")
    assert out(cli, "start", "web2") == "web2\n"
    assert out(cli, "restart", "-t", "0", "web2") == "web2\n"
    assert out(cli, "kill", "web2") == "web2\n"
    assert out(cli, "wait", "web2") == "137\n"
    assert out(cli, "rm", "web2") == "web2\n"
    missing = cli("inspect", "web2")
    assert missing.returncode == 1 and "no such object: web2" in missing.stderr.lower()


def test_options_arrive(cli: Run) -> None:
    script = (
        "id -u; pwd; hostname; echo $A; cat /proc/self/status | grep NoNewPrivs; ulimit -n; touch /x 2>&1; cat /t/f"
    )
    args = ["-u", "1000", "-w", "/tmp", "--hostname", "box", "-e", "A=b c", "--security-opt", "no-new-privileges"]
    args += ["--ulimit", "nofile=256:256", "--read-only", "-v", "/etc:/t:ro", "--tmpfs", "/run"]
    text = out(cli, "run", "--rm", *args, "busybox", "sh", "-c", script.replace("/t/f", "/t/debian_version"))
    lines = text.splitlines()
    assert lines[:4] == ["1000", "/tmp", "box", "b c"]
    assert lines[4].split() == ["NoNewPrivs:", "1"]
    assert lines[5] == "256" and "Read-only file system" in lines[6]
    assert lines[7][0].isdigit() or "/sid" in lines[7]


def test_memory_limit(cli: Run) -> None:
    script = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert out(cli, "run", "--rm", "--memory", "64m", "busybox", "sh", "-c", script) == "67108864\n"


def test_logs(cli: Run) -> None:
    out(cli, "run", "--name", "talk", "busybox", "sh", "-c", "seq 1 5; echo err >&2")
    done = cli("logs", "talk")
    assert (done.stdout, done.stderr) == ("1\n2\n3\n4\n5\n", "err\n")
    assert len(out(cli, "logs", "--tail", "2", "talk").split()) in (1, 2)
    assert re.match(r"\d{4}-\d\d-\d\dT[0-9:.]+Z 1\n", out(cli, "logs", "-t", "talk"))
    assert out(cli, "logs", "--since", "2099-01-01", "talk") == ""


def test_logs_follow_to_the_end(cli: Run) -> None:
    out(cli, "run", "-d", "--name", "slow", "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    assert out(cli, "logs", "-f", "slow") == "1\n2\n3\n"


def test_attach(cli: Run) -> None:
    out(cli, "run", "-di", "--name", "cat", "busybox", "cat")
    command = [*cli.command, "attach", "cat"]  # type: ignore[attr-defined]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"through\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"through\n"
    out(cli, "kill", "cat")
    assert process.wait(10) == 137


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{.Config.Image}}", "busybox"),
        ("{{json .Config.Cmd}}", '["sleep","600"]'),
        ("{{range .Config.Cmd}}[{{.}}]{{end}}", "[sleep][600]"),
        ("{{index .Config.Labels \"a.b\"}}", "c"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{len .Config.Cmd}} {{join .Config.Cmd \" \"}}", "2 sleep 600"),
        ("{{with .HostConfig.RestartPolicy}}{{.Name}}{{end}}", "no"),
        ("{{printf \"%s-%d\" .Name .HostConfig.Memory}}", "/tpl-0"),
        ("{{eq .State.ExitCode 0}} {{not .State.Running}}", "true false"),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}", "bridge"),
    ],
)  # fmt: skip
def test_templates(cli: Run, template: str, wanted: str) -> None:
    out(cli, "run", "-d", "--name", "tpl", "--label", "a.b=c", "busybox", "sleep", "600")
    assert out(cli, "inspect", "-f", template, "tpl") == wanted + "\n"


def test_network_modes(cli: Run) -> None:
    assert out(cli, "run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net") == "lo\n"
    assert "lo" in out(cli, "run", "--rm", "--network", "host", "busybox", "ls", "/sys/class/net").split()
    out(cli, "run", "-d", "--name", "owner", "busybox", "sleep", "600")
    address = out(cli, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", "owner").strip()
    assert f"inet {address}/" in out(cli, "run", "--rm", "--network", "container:owner", "busybox", "ip", "a")


def test_containers_reach_each_other_and_ports_are_published(cli: Run) -> None:
    serve = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 80; done"
    out(cli, "run", "-d", "--name", "srv", "-p", "127.0.0.1::80", "busybox", "sh", "-c", serve)
    address = out(cli, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", "srv").strip()
    await_true(
        "it answers", lambda: cli("run", "--rm", "busybox", "wget", "-qO-", f"http://{address}/").stdout == "hello"
    )
    published = out(cli, "port", "srv", "80").strip()
    await_true(
        "the published port answers",
        lambda: (
            subprocess.run(["curl", "-s", "-m", "3", f"http://{published}/"], capture_output=True).stdout == b"hello"
        ),
    )

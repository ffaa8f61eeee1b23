"""docs/tutorial.md: every command in it is run, and does what the text shows. The Korean one has the same commands."""

import os
import pty
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.clients import ROOT
from tests.harness.engine import Engine
from tests.harness.registry import PASSWORD, USER, Registry

TUTORIAL, KOREAN = ROOT / "docs/tutorial.md", ROOT / "docs/tutorial.ko.md"
PROMPT = "/ # "


@dataclass
class Step:
    """A command as it is typed, what is typed into it, and the lines it prints."""

    line: int
    command: str
    typed: list[str]
    output: list[str]


def steps(path: Path) -> Iterator[Step]:
    inside, document, step = False, "", None
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if line.startswith("```"):
            if step is not None:
                yield step
            inside, step = line == "```console", None
        elif not inside:
            continue
        elif document and step is not None:
            step.command += "\n" + line
            document = "" if line == document else document
        elif line.startswith("$ "):
            if step is not None:
                yield step
            step = Step(number, line[2:], [], [])
            start = re.search(r"<<'(\w+)'$", line)
            document = start[1] if start else ""
        else:
            assert step is not None, f"{path.name}:{number}: output without a command"
            if line.startswith(PROMPT):
                step.typed.append(line.removeprefix(PROMPT))
            step.output.append(line)


def pattern(lines: list[str]) -> str:
    """`…` is anything in a line, alone in a line any number of lines; how much white space parts words does not matter."""
    out = []
    for line in lines:
        if line.strip() == "…":
            out.append(r"(?:.*\n)*?")
            continue
        words = [".*?".join(re.escape(part) for part in word.split("…")) for word in line.split()]
        out.append(r"[ \t]*" + r"[ \t]+".join(words) + r"[ \t]*\n")
    return "".join(out)


def typed(command: list[str], keys: list[str], env: dict[str, str], folder: Path) -> tuple[int, str]:
    """The exit code and the whole transcript of a command on a terminal; each line is typed at a prompt."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=folder, start_new_session=True
    )
    os.close(theirs)
    seen, waiting = b"", list(keys)
    try:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
            if waiting and re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", seen).endswith(PROMPT.encode()):
                os.write(ours, waiting.pop(0).encode() + b"\n")
        return process.wait(30), re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", seen.decode(errors="replace").replace("\r", ""))
    finally:
        os.close(ours)
        process.kill()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_both_languages_have_the_same_commands() -> None:
    assert [(step.command, step.output) for step in steps(KOREAN)] == [
        (step.command, step.output) for step in steps(TUTORIAL)
    ]


@pytest.mark.usefixtures("needs_nftables")
def test_the_tutorial_is_true(fresh_daemon: Engine, password_registry: Registry, tmp_path: Path) -> None:
    real = {"127.0.0.1:5000": password_registry.address, "8080": free_port(), "alice": USER, "correct-horse": PASSWORD}

    def here(text: str) -> str:
        return re.sub("|".join(map(re.escape, real)), lambda match: real[match[0]], text)

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/scow").symlink_to(ROOT / "bin/scow")
    work = tmp_path / "work"
    work.mkdir()
    env = {
        **fresh_daemon.env,
        "SCOW_HOST": fresh_daemon.host,
        "PATH": f"{tmp_path}/bin:{fresh_daemon.env['PATH']}",
        "DOCKER_CONFIG": str(tmp_path / "config"),
        "TERM": "dumb",
    }
    problems: list[str] = []
    for step in steps(TUTORIAL):
        command, wanted = here(step.command), [here(line) for line in step.output]
        if step.typed:
            code, text = typed(["bash", "-c", command], step.typed, env, work)
        else:
            done = subprocess.run(
                ["bash", "-c", command], env=env, cwd=work, capture_output=True, text=True, timeout=120, stdin=-3
            )
            code, text = done.returncode, done.stderr + done.stdout
        where = f"{TUTORIAL.name}:{step.line}: $ {command}"
        if code != 0:
            problems.append(f"{where}\nexited {code}\n{text}")
        elif not re.fullmatch(pattern(wanted), text if not text or text.endswith("\n") else text + "\n"):
            problems.append(f"{where}\nprinted\n{text}\ninstead of\n" + "\n".join(wanted))
    assert not problems, "\n\n".join([*problems, fresh_daemon.tail(10)])

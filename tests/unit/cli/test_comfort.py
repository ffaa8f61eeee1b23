"""Suggestions, completion and contexts: what needs no daemon."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.cli import suggest
from scow.cli.command import Session
from scow.cli.complete import candidates
from scow.cli.completion import SCRIPTS
from scow.cli.registry import COMMANDS, GROUPS

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def scow(tmp_path: Path) -> Run:
    def run(*args: str, **env: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path), **env}
        command = [str(ROOT / "bin/scow"), *args]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)

    return run


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [("run", "run", 0), ("sotp", "stop", 1), ("runn", "run", 1), ("", "ps", 2), ("abc", "xyz", 3)],
)
def test_distance(one: str, other: str, far: int) -> None:
    assert suggest.distance(one, other) == suggest.distance(other, one) == far


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance_is_one(one: str, other: str) -> None:
    far = suggest.distance(one, other)
    assert (far == 0) == (one == other) and abs(len(one) - len(other)) <= far <= max(len(one), len(other))


def test_mistyped_commands(scow: Run) -> None:
    assert "unknown command: scow runn\n\nDid you mean this?\n\trun\n\nRun" in scow("runn").stderr
    assert "Did you mean this?\n\tstop\n\ttop\n\nUsage:" in scow("container", "sotp").stderr
    assert "Did you mean" not in scow("zzzzz").stderr


def words(*typed: str) -> list[str]:
    return [word for word, _ in candidates(Session("scow"), list(typed))]


def test_what_can_be_completed_without_a_daemon() -> None:
    assert words("ru") == ["run"] and set(words("")) == {*COMMANDS, *GROUPS}
    assert words("container", "re") == ["remove", "rename", "restart"]
    assert words("-H", "unix:///x", "contai") == ["container"] and words("-H", "uni") == []
    assert "--hostname" in words("run", "--host") and words("run", "--name", "") == []
    assert words("run", "-it", "--na") == ["--name"] and words("run", "-itu", "") == []  # letters in one word
    assert words("run", "--dns-opt", "") == [] and words("run", "--rm=false", "--na") == ["--name"]
    assert words("run", "busybox", "--na") == [] and words("context", "rm", "--", "--fo") == []
    assert words("rm", "--force", "--vol") == ["--volumes"] and words("rm", "--nosuch", "--vol") == []
    assert words("-Hunix:///x", "-D", "contai") == ["container"] and words("--", "contai") == ["container"]
    assert (
        words("completion", "z") == ["zsh"] and words("nosuch", "") == [] and words("--co") == ["--config", "--context"]
    )


def test_every_command_can_be_asked_about() -> None:
    for name, module in COMMANDS.items():
        if module != "daemon":
            assert all(word.startswith("--") for word in words(name, "--"))
    for group, modules in GROUPS.items():
        for name in modules:
            assert all(word.startswith("--") for word in words(group, name, "--"))


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_scripts_are_printed(scow: Run, shell: str) -> None:
    done = scow("completion", shell)
    assert done.returncode == 0 and "scow __complete" in done.stdout and "PROGRAM" not in done.stdout
    assert scow("completion", "tcsh").returncode == 1


def test_bash_completes(scow: Run, tmp_path: Path) -> None:
    script = scow("completion", "bash").stdout
    ask = 'COMP_LINE="scow contain"; COMP_WORDS=(scow contain); COMP_CWORD=1; _scow_complete; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"],
        capture_output=True,
        text=True,
        env={"PATH": f"{ROOT}/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.stdout == "container\n", done


class Shell:
    """An interactive bash at a terminal of ours, where `scow` tells what it was asked and completes names with breaks."""

    NAMES = ("registry.example:5000/app:one", "plain", "key=value", "repo@sha256:0123")

    def __init__(self, directory: Path, script: str) -> None:
        self._asked = directory / "asked"
        stub = directory / "scow"
        listed = "".join(f"{name}\\t about\\n" for name in self.NAMES)
        stub.write_text(
            f'#!/bin/bash\n[[ $1 == __complete ]] || {{ printf "<%s>" "$@" > {directory}/ran; exit; }}\n'
            f'printf "<%s>" "$@" > {self._asked}\nprintf "{listed}" | while IFS= read -r line; do\n'
            '    [[ $line == "${@: -1}"* ]] && printf "%s\\n" "$line"\ndone\n'
        )
        stub.chmod(0o755)
        (directory / "script").write_text(script)
        self._directory = directory

    def tab(self, typed: str) -> tuple[str, str]:
        """What `scow` was asked at the tab key behind `typed`, and what it was run with in the end."""
        ran = self._directory / "ran"
        ran.unlink(missing_ok=True)
        pid, terminal = pty.fork()
        if not pid:
            env = {
                "PATH": f"{self._directory}:/usr/bin:/bin",
                "TERM": "dumb",
                "PS1": "> ",
                "HOME": str(self._directory),
            }
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], env)
        try:
            os.write(terminal, f"source {self._directory}/script\n{typed}\t\nexit\n".encode())
            with contextlib.suppress(OSError):  # it has ended
                while os.read(terminal, 4096):
                    pass
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)
        return self._asked.read_text(), ran.read_text()


def test_words_with_breaks_in_a_real_bash(scow: Run, tmp_path: Path) -> None:
    shell = Shell(tmp_path, scow("completion", "bash").stdout)
    full = Shell.NAMES[0]
    for typed, asked, ran in (
        ("scow run pl", "<__complete><run><pl>", "<run><plain>"),
        ("scow run registry", "<__complete><run><registry>", f"<run><{full}>"),
        ("scow run registry.example:", "<__complete><run><registry.example:>", f"<run><{full}>"),
        ("scow run registry.example:5000/app:o", "<__complete><run><registry.example:5000/app:o>", f"<run><{full}>"),
        ("scow run -e a=b:c key=v", "<__complete><run><-e><a=b:c><key=v>", "<run><-e><a=b:c><key=value>"),
        ("scow run --name=x  repo@sha", "<__complete><run><--name=x><repo@sha>", f"<run><--name=x><{Shell.NAMES[3]}>"),
        ("scow a : = : key", "<__complete><a><:><=><:><key>", "<a><:><=><:><key=value>"),
    ):
        assert shell.tab(typed) == (asked, ran), typed


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
def test_words_with_breaks_in_a_real_fish(scow: Run, tmp_path: Path) -> None:
    shell = Shell(tmp_path, scow("completion", "fish").stdout)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    ask = f"source {tmp_path}/script; complete -C 'scow run registry.example:5000/a'"
    done = subprocess.run(["fish", "-c", ask], capture_output=True, text=True, env=env, timeout=60)
    assert done.stdout.split("\t")[0] == shell.NAMES[0], done


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_zsh_reads_its_script(scow: Run, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(scow("completion", "zsh").stdout)
    ask = f"autoload -U compinit; compinit -D -u; source {tmp_path}/script; print $_comps[scow]"
    done = subprocess.run(
        ["zsh", "-f", "-c", ask], capture_output=True, text=True, env={"HOME": str(tmp_path)}, timeout=60
    )
    assert done.stdout.strip() == "_scow", done


# ---------------------------------------------------------------- contexts


def test_the_life_of_a_context(scow: Run, tmp_path: Path) -> None:
    made = scow("context", "create", "one", "--docker", "host=unix:///tmp/x.sock", "--description", "my d")
    assert (made.stdout, made.stderr) == ("one\n", 'Successfully created context "one"\n')
    assert scow("context", "use", "one").stdout == "one\n" and scow("context", "show").stdout == "one\n"
    assert json.loads((tmp_path / "config.json").read_text())["currentContext"] == "one"
    shown = json.loads(scow("context", "inspect").stdout)[0]
    assert shown["Endpoints"] == {"docker": {"Host": "unix:///tmp/x.sock", "SkipTLSVerify": False}}
    assert (Path(shown["Storage"]["MetadataPath"]) / "meta.json").exists()
    rows = scow("context", "ls").stdout.splitlines()
    assert rows[0].split() == ["NAME", "DESCRIPTION", "DOCKER", "ENDPOINT", "ERROR"]
    assert rows[2].split() == ["one", "*", "my", "d", "unix:///tmp/x.sock"]
    assert "unix:///tmp/x.sock" in scow("ps").stderr  # it is the one that is asked
    assert scow("context", "rm", "one").stderr == 'context "one" is in use, set -f flag to force remove\n'
    assert scow("context", "update", "one", "--docker", "host=tcp://h:1").returncode == 0
    assert scow("context", "create", "two", "--from", "one").returncode == 0
    assert scow("context", "inspect", "two", "-f", "{{.Endpoints.docker.Host}}").stdout == "tcp://h:1\n"
    assert scow("context", "rm", "-f", "one").stdout == "one\n" and scow("context", "show").stdout == "default\n"
    assert scow("context", "ls", "-q").stdout.split() == ["default", "two"]


def test_tls_files_of_a_context(scow: Run, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("CA")
    assert scow("context", "create", "tls", "--docker", f"host=tcp://h:2376,ca={tmp_path}/ca").returncode == 0
    shown = json.loads(scow("context", "inspect", "tls").stdout)[0]
    assert shown["TLSMaterial"] == {"docker": ["ca.pem"]}
    assert (Path(shown["Storage"]["TLSPath"]) / "docker/ca.pem").read_text() == "CA"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("create", "default"), '"default" is a reserved context name'), (("create", "a b"), 'context name "a b" is invalid'),
        (("create", "../../x"), "is invalid"), (("rm", "default"), 'context "default" cannot be removed'),
        (("rm", "nosuch"), 'context "nosuch" does not exist'), (("use", "nosuch"), 'context "nosuch": context not found'),
        (("inspect", "nosuch"), 'context "nosuch": context not found'), (("export", "nosuch"), "context not found"),
        (("import", "xx", "/nosuch"), "open /nosuch: no such file or directory"),
        (("create", "xx", "--docker", "nope=x"), "unrecognized config key: nope"),
    ],
)  # fmt: skip
def test_refusals(scow: Run, args: tuple[str, ...], sentence: str) -> None:
    done = scow("context", *args)
    assert done.returncode == 1 and sentence in done.stderr


def test_an_environment_that_overrides(scow: Run) -> None:
    scow("context", "create", "one", "--docker", "host=unix:///tmp/x.sock")
    done = scow("context", "use", "one", DOCKER_HOST="unix:///q")
    assert 'DOCKER_HOST environment variable overrides the active context. To use "one"' in done.stderr
    assert scow("context", "show", DOCKER_HOST="unix:///q").stdout == "default\n"

"""What a start costs, and what the program says when something is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scow.cli.main import main
from scow.cli.registry import COMMANDS, GROUPS, UNSUPPORTED

SOURCE = Path(__file__).resolve().parents[3] / "src"
COSTLY = {
    "re",
    "os",
    "typing",
    "enum",
    "dataclasses",
    "socket",
    "json",
    "signal",
    "argparse",
    "collections",
    "functools",
}


@pytest.mark.parametrize(
    "command",
    [
        "run --rm -it busybox sh",
        "run -d -p 80:80 -v /a:/b -e A=b busybox",
        "exec x true",
        "start x",
        "rm -f x",
        "ps -q",
    ],
)
def test_the_hot_path_imports_nothing_costly(command: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from scow.cli.main import main; "
        f"main(['scow', '-H', 'unix:///nonexistent', *{command.split()!r}]); print(*sorted(sys.modules))"
    )
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & COSTLY
    assert "Cannot connect to the Docker daemon" in done.stderr or "not a TTY" in done.stderr


@pytest.mark.parametrize("module", sorted({*COMMANDS.values(), *(m for g in GROUPS.values() for m in g.values())}))
def test_every_command_has_help(module: str, capfd: pytest.CaptureFixture[str]) -> None:
    from scow.cli.help import command_help
    from scow.cli.main import load

    command = load(module)
    text = command_help(command, "scow x")
    assert text.startswith("Usage:  scow x") and command.summary in text
    assert all(len(line) <= 80 for line in text.split("\n")[4:] if line.startswith("   "))


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_what_is_not_there_is_refused_by_name(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scow", name]) == 1
    assert capfd.readouterr().err == f"scow: '{name}' is not supported yet\n"


def test_unknown_commands(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scow", "nosuch"]) == 1
    assert capfd.readouterr().err == "scow: unknown command: scow nosuch\n\nRun 'scow --help' for more information\n"
    assert main(["scow", "container", "nosuch"]) == 1
    assert main(["scow", "--nosuch"]) == 125


def test_overviews(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scow"]) == main(["scow", "--help"]) == main(["scow", "image"]) == main(["scow", "help", "run"]) == 0
    assert "Management Commands" in capfd.readouterr().out


def test_errors_of_run_have_its_exit_codes(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scow", "-H", "unix:///nonexistent", "run", "busybox"]) == 125
    error = capfd.readouterr().err
    assert error.startswith("scow: Cannot connect to the Docker daemon at unix:///nonexistent.")
    assert error.endswith("Run 'scow run --help' for more information\n")
    assert main(["scow", "-H", "unix:///nonexistent", "ps"]) == 1

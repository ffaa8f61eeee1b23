"""Rules of the house that no linter knows: file length, bans on method calls, what the CLI imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src/scow").rglob("*.py"))
HARD_LIMIT = 600


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node


def test_no_file_is_longer_than_the_hard_limit() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := p.read_text().count("\n")) > HARD_LIMIT}
    assert not long, f"split these by their verbs (limit {HARD_LIMIT} lines): {long}"


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "base", "misc"])
def test_no_module_is_named_for_nothing(word: str) -> None:
    assert not [p for p in SOURCES if p.stem == word or p.parent.name == word]


def test_tasks_are_made_only_by_the_one_keeper() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        if path.name != "background.py"
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("create_task", "ensure_future")
        # a TaskGroup keeps its own tasks
        and not (isinstance(call.func.value, ast.Name) and call.func.value.id in ("group", "tg", "tasks"))
    ]
    assert not found, f"use scow.background: {found}"


def test_no_archive_is_unpacked_by_the_standard_library() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("extractall", "unpack_archive")
    ]
    assert not found


def test_no_shell_is_ever_asked() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        for call in calls(path)
        if any(k.arg == "shell" and isinstance(k.value, ast.Constant) and k.value.value for k in call.keywords)
    ]
    assert not found


@pytest.mark.skipif(not (ROOT / "src/scow/cli/main.py").exists(), reason="no CLI yet")
def test_the_cli_start_imports_no_third_party_and_no_slow_module() -> None:
    code = "import sys; import scow.cli.main; print(*sorted(sys.modules))"
    command = [sys.executable, "-IS", "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); {code}"]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    slow = {"argparse", "asyncio", "http.client", "urllib.request", "subprocess", "typing", "dataclasses", "inspect"}
    assert not loaded & (slow | {"aiohttp", "msgspec", "rich", "click"})

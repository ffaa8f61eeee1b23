"""Whole Dockerfiles: tests/golden/dockerfiles/ok become the commands beside them, bad ones the recorded error.

SCOW_TEST_RECORD=1 writes the commands and our errors again. `tests/golden/dockerfiles/record SOCKET` asks a dockerd for
its sentences; `docker` in bad.json is what it said, absent where it has none (BuildKit's flags, say).
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from scow.build.frontend import commands, parser
from scow.build.frontend.errors import DockerfileError

GOLDEN = Path(__file__).parents[2] / "golden/dockerfiles"
OK = sorted((GOLDEN / "ok").glob("*.dockerfile"))
BAD = sorted((GOLDEN / "bad").glob("*.dockerfile"))
RECORD = bool(os.environ.get("SCOW_TEST_RECORD"))


def plain(command: commands.Command) -> dict[str, Any]:
    """A command's fields but those that are as usual."""
    found: dict[str, Any] = {"type": type(command).__name__}
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if value != field.default:
            found[field.name] = [plain_part(item) for item in value] if isinstance(value, tuple) else value
    return found


def plain_part(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if not dataclasses.is_dataclass(value):
        return value
    fields = dataclasses.fields(value)
    return {field.name: part for field in fields if (part := getattr(value, field.name)) != field.default}


def tree(file: commands.Dockerfile) -> dict[str, Any]:
    return {
        "directives": dict(file.directives),
        "arguments": [plain(each) for each in file.arguments],
        "stages": [
            {"name": stage.name, "start": plain(stage.start), "commands": [plain(each) for each in stage.commands]}
            for stage in file.stages
        ],
    }


def text(path: Path) -> str:
    return path.read_bytes().decode()


@pytest.mark.parametrize("path", OK, ids=lambda path: path.stem)
def test_a_dockerfile_becomes_these_commands(path: Path) -> None:
    found = tree(parser.parse(text(path)))
    expected = path.with_suffix(".json")
    if RECORD:
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(expected.read_text())


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_dockerfile_is_refused_with_these_words(path: Path) -> None:
    with pytest.raises(DockerfileError) as caught:
        parser.parse(text(path))
    error = caught.value
    expected = path.with_suffix(".json")
    found = {"message": error.message, "line": error.line, "word": error.word}
    if RECORD:
        before = json.loads(expected.read_text()) if expected.exists() else {}
        docker = {"docker": before["docker"]} if "docker" in before else {}
        expected.write_text(json.dumps({**found, **docker}, indent=1, ensure_ascii=False) + "\n")
    wanted = json.loads(expected.read_text())
    assert found == {key: wanted[key] for key in found}
    assert error.message == wanted.get("docker", error.message)
    assert (not error.line) or f":{error.line}\n" in error.shown


def test_there_are_enough_of_them() -> None:
    assert len(OK) >= 80 and len(BAD) >= 30

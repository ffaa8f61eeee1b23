"""Runtimes in daemon.json and on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from scow.daemon.config import Config, parse
from scow.errors import InvalidArgument
from scow.model.runtime import Runtime


def config(tmp_path: Path, *flags: str, **document: Any) -> Config:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({name.replace("_", "-"): value for name, value in document.items()}))
    return parse(["--config-file", str(path), *flags])


def test_from_the_file(tmp_path: Path) -> None:
    found = config(
        tmp_path, runtimes={"a": {"path": "/x", "runtimeArgs": ["-v"]}, "b": {"path": "y"}}, default_runtime="a"
    )
    assert found.runtimes == {"a": Runtime("/x", ("-v",)), "b": Runtime("y")} and found.default_runtime == "a"


def test_from_flags(tmp_path: Path) -> None:
    found = config(tmp_path, "--add-runtime", "A=/x", "--add-runtime", "b = y", "--default-runtime", "runc")
    assert found.runtimes == {"a": Runtime("/x"), "b": Runtime("y")} and found.default_runtime == "runc"
    assert config(tmp_path).default_runtime == "scow"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["x"], "invalid runtime argument: x"),
        (["x="], "invalid runtime argument: x="),
        (["=/x"], "invalid runtime argument: =/x"),
        (["runc=/x"], "runtime name 'runc' is reserved"),
        (["scow=/x"], "runtime name 'scow' is reserved"),
        (["a=/x", "a=/y"], "runtime 'a' was already defined"),
    ],
)
def test_flags_that_cannot_be(tmp_path: Path, words: list[str], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        config(tmp_path, *(item for word in words for item in ("--add-runtime", word)))
    assert caught.value.message == f'invalid argument "{words[-1]}" for "--add-runtime" flag: {text}'


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"runtimes": []}, "runtimes: want an object"),
        ({"runtimes": {"a": "/x"}}, "runtime 'a': want an object with a path"),
        ({"runtimes": {"": {"path": "/x"}}}, "runtime ''"),
        ({"runtimes": {"runc": {"path": "/x"}}}, "runtime name 'runc' is reserved"),
        ({"runtimes": {"a": {}}}, "runtime a: a path must be configured"),
        ({"runtimes": {"a": {"path": "/x", "runtimeArgs": "x"}}}, "runtime a: runtimeArgs"),
        ({"runtimes": {"a": {"path": "/x", "pth": "x"}}}, "runtime a: unknown key 'pth'"),
        ({"runtimes": {"a": {"runtimeType": "io.x.v1"}}}, "runtime a: runtimeType is not supported"),
        ({"default_runtime": "nosuch"}, "specified default runtime 'nosuch' does not exist"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, document: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        config(tmp_path, **document)
    assert text in caught.value.message

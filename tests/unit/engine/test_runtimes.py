"""Names of runtimes: which there are, and what program each means."""

import asyncio
from pathlib import Path

import pytest

from scow.engine import runtimes
from scow.engine.context import Settings
from scow.errors import InvalidArgument, StartFailure
from scow.model.runtime import Runtime


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runtimes, "_PATH", str(tmp_path))
    return tmp_path


def program(place: Path, name: str, text: str = "") -> str:
    path = place / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def settings(**configured: Runtime) -> Settings:
    return Settings("/d", "/r", runtimes=configured)


def test_what_is_installed_is_known_by_its_name_and_by_dockers(programs: Path) -> None:
    assert runtimes.known(settings()) == {}
    runc = program(programs, "runc")
    assert set(runtimes.known(settings())) == {"runc", "io.containerd.runc.v2"}
    for name in ("runc", "io.containerd.runc.v2"):
        assert runtimes.command(settings(), name) == (runc,)
    assert runtimes.command(settings(), "scow") == runtimes.command(settings(), "") == ()


def test_an_unknown_name_is_refused_in_dockers_words(programs: Path) -> None:
    for ask in (runtimes.check, runtimes.command):
        with pytest.raises(InvalidArgument, match="^unknown or invalid runtime name: crun$"):
            ask(settings(), "crun")


def test_configured_ones(programs: Path) -> None:
    path = program(programs, "mine")
    given = settings(a=Runtime("mine", ("--debug",)), b=Runtime(path), c=Runtime("/nosuch/x"), d=Runtime("nosuch"))
    assert runtimes.command(given, "a") == (path, "--debug") and runtimes.command(given, "b") == (path,)
    for name, why in (("c", '"/nosuch/x": no such file or directory'), ("d", '"nosuch": executable file not found')):
        runtimes.check(given, name)
        with pytest.raises(StartFailure, match=f"OCI runtime create failed: .*{why}"):
            runtimes.command(given, name)


def test_features_are_what_the_program_tells(programs: Path) -> None:
    good = Runtime(program(programs, "good", "[ $2 = features ] && echo '{\"a\": 1}'"), ("--own",))
    silent, broken = Runtime(program(programs, "silent", "exit 1")), Runtime(program(programs, "broken", "echo {"))
    every = {"good": good, "silent": silent, "broken": broken, "gone": Runtime("/nosuch")}
    assert asyncio.run(runtimes.features(every)) == {"good": {"a": 1}}

"""Environment entries and the search for the executable."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.runtime.failure import Failed
from scow.runtime.lookup import environment, find_executable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for directory in ("first", "second"):
        (tmp_path / directory).mkdir()
    (tmp_path / "first/plain").write_text("")
    for name in ("first/tool", "second/tool", "second/plain"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "first/dir").mkdir()
    return tmp_path


def search(path: Path) -> bytes:
    return f"{path}/first:{path}/second".encode()


def test_first_executable_of_path(path: Path) -> None:
    assert find_executable(b"tool", search(path)) == f"{path}/first/tool".encode()
    assert find_executable(b"plain", search(path)) == f"{path}/second/plain".encode()


@pytest.mark.parametrize("name", [b"nosuch", b"dir", b""])
def test_not_found(path: Path, name: bytes) -> None:
    with pytest.raises(Failed) as raised:
        find_executable(name, search(path))
    assert raised.value.text == f'exec: "{name.decode()}": executable file not found in $PATH'


def test_relative_parts_of_path_are_not_searched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path / "first")
    for text in (b"", b".", b":", b"./", None):
        with pytest.raises(Failed):
            find_executable(b"tool", text)


@pytest.mark.parametrize(("name", "text"), [("first/plain", "exec"), ("first/dir", "exec"), ("no/such", "stat")])
def test_names_with_a_slash(path: Path, name: str, text: str) -> None:
    with pytest.raises(Failed, match=text) as raised:
        find_executable(f"{path}/{name}".encode(), b"")
    assert raised.value.number != 0


def test_environment() -> None:
    entries = ["A=1", "B=", "A=2", "NAME", "=x", "C=a=b", "D=\udcff", "E=x\0y"]
    assert environment(entries) == {b"A": b"2", b"B": b"", b"C": b"a=b", b"D": b"\xff"}


@given(st.lists(st.text(max_size=10), max_size=10))
def test_environment_never_reads_ours(entries: list[str]) -> None:
    """CVE-2026-57231: a bare name is not looked up anywhere."""
    os.environ["CANARY"] = "token"
    assert b"token" not in environment([*entries, "CANARY"]).values()

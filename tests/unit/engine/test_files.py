"""Files that a running container may have mounted: changed in place."""

import os
from pathlib import Path

import pytest

from scow.engine.containers.files import write_file


class Killed(Exception):
    """Here the daemon would be gone."""


@pytest.mark.parametrize("text", ["", "1.1.1.1\ta\n", "x" * 40 + "\n"])
def test_a_kill_leaves_the_old_text_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "hosts"
    old = "2.2.2.2\tb\n3.3.3.3\tc\n"
    inode = 0
    for name in ("write", "ftruncate", ""):
        path.write_text(old)
        inode = inode or path.stat().st_ino
        with monkeypatch.context() as patch:
            if name:
                patch.setattr(os, name, _killed)
                with pytest.raises(Killed):
                    write_file(str(path), text)
            else:
                write_file(str(path), text)
        found = path.read_text()
        assert found == old if name == "write" else found.rstrip("\n") == text.rstrip("\n")
    assert path.read_text() == text and path.stat().st_ino == inode


def _killed(*_: object) -> int:
    raise Killed


def test_all_is_written_however_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    write_file(str(tmp_path / "x"), "some text\n")
    assert (tmp_path / "x").read_text() == "some text\n"


def test_a_huge_file_in_the_place_of_ours(tmp_path: Path) -> None:
    with open(tmp_path / "x", "wb") as file:
        file.truncate(1 << 40)
    write_file(str(tmp_path / "x"), "a\n")
    assert (tmp_path / "x").read_text() == "a\n"

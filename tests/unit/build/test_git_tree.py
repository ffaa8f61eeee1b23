"""What the git program leaves: in a .git directory that becomes part of an image, and in memory."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from scow.build.git_fetch import _Git
from scow.build.git_tree import _forget
from scow.images.starter import command


def test_addresses_of_submodules_lose_their_passwords_too(tmp_path: Path) -> None:
    for name in (".", "modules/m", "modules/m/modules/deeper"):
        directory = tmp_path / name
        (directory / "objects").mkdir(parents=True)
        (directory / "logs").mkdir()
        (directory / "FETCH_HEAD").write_text("x")
        (directory / "config").write_text("[core]\n\tbare = false\n[x]\n\turl = https://me:s3cret@example.org/m.git\n")
    (tmp_path / "refs/heads").mkdir(parents=True)
    (tmp_path / "refs/heads/FETCH_HEAD").write_text("a branch")
    _forget(str(tmp_path))
    for name in (".", "modules/m", "modules/m/modules/deeper"):
        left = tmp_path / name
        assert left.joinpath("config").read_text() == (
            "[core]\n\tbare = false\n[x]\n\turl = https://me:xxxxx@example.org/m.git\n"
        )
        assert not left.joinpath("FETCH_HEAD").exists() and not left.joinpath("logs").exists()
    assert (tmp_path / "refs/heads/FETCH_HEAD").exists()


def test_what_a_server_says_is_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_words: object, tell: Callable[[str], None], *_: object) -> None:
        for number in range(100_000):
            tell(f"remote: {number}")

    monkeypatch.setattr(command, "run", run)
    said = asyncio.run(_Git("git", "/", "/", "")("fetch"))
    assert said[-1] == "remote: 99999" and len(said) < 100

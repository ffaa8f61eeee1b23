"""What the git program leaves: in a .git directory that becomes part of an image, and in memory."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from scow.build import git_tree
from scow.build.agents import Agents
from scow.build.context import Context
from scow.build.git_address import Repository, parse
from scow.build.git_fetch import Commit, _Git
from scow.build.git_tree import _forget, fill
from scow.images.archive.limits import DEFAULT
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


@pytest.mark.parametrize("url", ["git@example.org:r.git", "ssh://git@example.org/r.git", "https://example.org/r.git"])
def test_what_is_fetched_by_ssh_asks_the_clients_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    asked: list[str] = []

    async def check_out(_repository: Repository, directory: str, _most: int, agent: str) -> Commit:
        asked.append(agent)
        assert not agent or Path(agent).is_socket()
        (Path(directory) / "a").write_text("a")
        return Commit("0" * 40, 1)

    class Parts:
        scratch = str(tmp_path)
        limits = DEFAULT

        async def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
            return work(*arguments)

    async def main() -> None:
        ours, theirs = socket.socketpair()
        agents, tree = Agents(), Context(str(tmp_path / "context"))
        agents.add("a" * 32, ours, None)
        agent = agents.take("a" * 32, None)
        repository = parse(url)
        assert repository is not None
        await fill(cast(Any, Parts()), tree, repository, agent=agent, sockets=str(tmp_path))
        tree.close()
        theirs.close()
        agent.sock.close()

    monkeypatch.setattr(git_tree, "check_out", check_out)
    asyncio.run(main())
    assert [bool(path) for path in asked] == [not url.startswith("https")]
    assert not any(path and Path(path).exists() for path in asked)


def test_what_a_server_says_is_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_words: object, tell: Callable[[str], None], *_: object) -> None:
        for number in range(100_000):
            tell(f"remote: {number}")

    monkeypatch.setattr(command, "run", run)
    said = asyncio.run(_Git("git", "/", "/", "")("fetch"))
    assert said[-1] == "remote: 99999" and len(said) < 100

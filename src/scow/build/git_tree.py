"""The files of a git repository as a tree that a build copies from."""

import asyncio
import os
import secrets
import shutil
from contextlib import AsyncExitStack, suppress

from scow.background import complete
from scow.build.agents import Agent, listening
from scow.build.context import Context
from scow.build.git_address import Repository, redacted
from scow.build.git_fetch import Commit, check_out
from scow.errors import NotFound
from scow.images.parts import Parts
from scow.linux import paths

_SECOND = 1_000_000_000
_GIT = frozenset({b".git"})


async def fill(
    parts: Parts,
    tree: Context,
    repository: Repository,
    *,
    keep: bool = False,
    agent: Agent | None = None,
    sockets: str = "",
) -> Commit:
    """Take the repository's files into `tree`, with .git when it is to be kept. All have the commit's time. What is fetched by
    ssh asks `agent`, by a socket in the directory `sockets`, which only root can enter.
    """
    directory = f"{parts.scratch}/git-{secrets.token_hex(8)}"  # what a crash leaves there goes at the next start
    await parts.run(os.mkdir, directory, 0o700)
    work = f"{directory}/work"

    def read(commit: Commit) -> None:
        root = paths.open_root(work)
        try:
            inner = paths.open_in_root(root, repository.directory or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            raise NotFound(f"directory {repository.directory} of {repository.shown}: {why}") from None
        finally:
            os.close(root)
        try:
            tree.read_directory(inner, commit.time * _SECOND, frozenset() if keep else _GIT)
        finally:
            os.close(inner)

    try:
        await parts.run(os.mkdir, work, 0o755)
        async with AsyncExitStack() as using:
            way = ""
            if agent is not None and repository.by_ssh:
                way = await using.enter_async_context(listening(agent, sockets, 0o600, 0, 0))
            commit = await check_out(repository, work, parts.limits.bytes, way)
        if keep:
            await parts.run(_forget, f"{work}/.git")
        await parts.run(read, commit)
        return commit
    finally:
        await complete(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True), "git-scratch")


def _forget(git: str) -> None:
    """What tells more than the repository and its submodules: where they came from in full, and when."""
    for directory, inner, files in os.walk(git):
        if "objects" not in inner or "config" not in files:
            continue  # not the directory of a repository
        for name in ("FETCH_HEAD", "ORIG_HEAD"):
            with suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")
        shutil.rmtree(f"{directory}/logs", ignore_errors=True)
        # a submodule at a relative address has got the password of the one that it is in
        with open(f"{directory}/config", "r+", encoding="utf-8", errors="surrogateescape") as config:
            text = redacted(config.read())
            config.seek(0)
            config.truncate()
            config.write(text)

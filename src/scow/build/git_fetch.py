"""A commit of a git repository, checked out by the git program.

The program gets no configuration of the machine, of its user or of the repository's, runs no hook, asks nobody for a password,
speaks http, https, git and ssh only (never a local path, nor `ext::`, in submodules either), and ends with its time or its room.
"""

import asyncio
import os
from collections import deque
from dataclasses import dataclass

from scow.background import spawn
from scow.build.git_address import Repository, redacted
from scow.errors import NotFound, ResourceExhausted, Unavailable
from scow.images.starter import command
from scow.images.starter.command import CommandFailed, MissingProgram

_SECONDS = 600
_LINES = 16
_LOOK = 0.5  # seconds between looks at the room that is taken
_SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.askPass=", "credential.helper=", "init.defaultBranch=main",
    "core.logAllRefUpdates=false", "advice.detachedHead=false", "gc.auto=0", "maintenance.auto=false",
    "protocol.allow=never", "protocol.http.allow=always", "protocol.https.allow=always", "protocol.git.allow=always",
    "protocol.ssh.allow=always", "http.lowSpeedLimit=1000", "http.lowSpeedTime=60", "submodule.recurse=false",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Commit:
    """What was checked out: its id, and when it was made (Unix seconds)."""

    id: str
    time: int


async def check_out(repository: Repository, directory: str, most: int, agent: str = "") -> Commit:
    """Into `directory`, which must be empty and whose parent must be root's, at most `most` bytes. `agent`: the socket of an ssh
    agent. Unavailable for what the server or the network did, NotFound for a ref that is not there.
    """
    try:
        git = command.find("git", "git")
    except MissingProgram:
        raise MissingProgram(
            f"git is not installed where the daemon runs: {repository.shown} cannot be fetched (apt-get install git)"
        ) from None
    home = f"{directory}.home"
    os.mkdir(home, 0o700)
    run = _Git(git, directory, home, agent)
    watching = spawn(_watch((directory, home), most), "git-room", awaited=True)
    working = spawn(_work(run, repository), "git", awaited=True)
    try:
        done, _ = await asyncio.wait((working, watching), timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            return working.result()
        if watching in done:
            watching.result()
        raise Unavailable(f"{repository.shown} was not fetched within {_SECONDS} seconds")
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


class _Git:
    """Runs git in a work tree."""

    def __init__(self, program: str, directory: str, home: str, agent: str) -> None:
        self.directory = directory
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        self._base = [program, *settings]
        hosts = "-o UserKnownHostsFile=/root/.ssh/known_hosts -o GlobalKnownHostsFile=/etc/ssh/ssh_known_hosts"
        self._environment = {
            "HOME": home,
            "XDG_CONFIG_HOME": home,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_SSH_COMMAND": f"ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes {hosts}",
            "GIT_SSH_VARIANT": "ssh",
        }
        if agent:
            self._environment["SSH_AUTH_SOCK"] = agent

    async def __call__(self, *arguments: str) -> list[str]:
        """The last lines that it has said: a server may have it say any number. CommandFailed."""
        lines: deque[str] = deque(maxlen=_LINES)
        await command.run([*self._base, *arguments], lines.append, self.directory, self._environment)
        return list(lines)


async def _work(git: _Git, repository: Repository) -> Commit:
    try:
        await git("init", "-q", "--template=")
        await git("remote", "add", "--", "origin", repository.url)
        await _fetch(git, repository)
        await git("checkout", "-q", "--force", "--detach", "FETCH_HEAD")
        if os.path.lexists(f"{git.directory}/.gitmodules"):
            await git("submodule", "-q", "update", "--init", "--recursive", "--depth=1")
        lines = await git("log", "-1", "--format=%H %ct", "HEAD")
        await git("remote", "set-url", "--", "origin", repository.shown)
        await git("read-tree", "HEAD")  # an index without the times of this checkout
    except CommandFailed as error:
        raise Unavailable(f"failed to fetch {repository.shown}: {redacted(error.message)}") from None
    commit, _, time = lines[-1].partition(" ")
    return Commit(commit, int(time))


async def _fetch(git: _Git, repository: Repository) -> None:
    fetch = ("fetch", "-q", "--no-tags", "--no-recurse-submodules")
    try:
        await git(*fetch, "--depth=1", "--", "origin", repository.ref or "HEAD")
        return
    except CommandFailed as error:
        if "couldn't find remote ref" not in error.message and not repository.is_commit:
            raise
        if not all(letter in "0123456789abcdef" for letter in repository.ref):
            raise NotFound(f"{repository.shown} has no ref {repository.ref}") from None
    # a commit that the server does not give by its id, or whose id is short: it may be in what a branch leads to
    await git(*fetch, "--", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    try:
        (found,) = await git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{repository.ref}^{{commit}}")
    except (CommandFailed, ValueError):
        raise NotFound(f"{repository.shown} has no ref {repository.ref}") from None
    await git("update-ref", "FETCH_HEAD", found)


async def _watch(directories: tuple[str, ...], most: int) -> None:
    """Ends, with ResourceExhausted, when they have grown too large."""
    while True:
        await asyncio.sleep(_LOOK)
        if await asyncio.to_thread(_taken, directories) > most:
            raise ResourceExhausted(f"the git repository has more than {most} bytes")


def _taken(directories: tuple[str, ...]) -> int:
    total = 0
    for directory in directories:
        for _, _, files, fd in os.fwalk(directory):
            for name in files:
                try:
                    total += os.stat(name, dir_fd=fd, follow_symlinks=False).st_blocks * 512
                except FileNotFoundError:  # git moves its files
                    continue
    return total

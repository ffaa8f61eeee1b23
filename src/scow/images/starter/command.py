"""Programs of the host that build trees: run without a shell, in a clean environment, killed with the caller."""

import asyncio
import os
import shutil
import signal
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from scow.errors import Internal, NotFound

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED = ("http_proxy", "https_proxy", "no_proxy", "SOURCE_DATE_EPOCH")
_KEPT_LINES = 15
_LONGEST_LINE = 400


class CommandFailed(Internal):
    """A program ended with an error."""


class MissingProgram(NotFound):
    """A program that is needed is not installed."""


def find(program: str, package: str) -> str:
    """The absolute path of a host program; MissingProgram names the package to install."""
    path = shutil.which(program, path=_PATH)
    if path is None:
        raise MissingProgram(f"{program} is not installed: apt-get install {package}")
    return path


async def run(
    arguments: Sequence[str],
    tell: Callable[[str], None],
    directory: str = "/",
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end; every line that it writes goes to `tell`. CommandFailed has its last lines.

    `variables` are put to its environment.
    """
    environment = {"PATH": _PATH, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
    environment.update({name: os.environ[name] for name in _PASSED if name in os.environ})
    environment.update(variables or {})
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=directory,
        start_new_session=True,
    )
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        async for text in _lines(process):
            last.append(text)
            tell(text)
        status = await process.wait()
    except BaseException:
        await _kill(process)
        raise
    if status != 0:
        name = os.path.basename(arguments[0])
        raise CommandFailed(f"{name} ended with status {status}: " + " | ".join(last))


async def _lines(process: asyncio.subprocess.Process) -> AsyncGenerator[str, None]:
    """Printable lines of bounded length, whatever the program writes."""
    stream = process.stdout
    assert stream is not None  # asked for above
    rest = b""
    while chunk := await stream.read(65536):
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        rest = rest[:_LONGEST_LINE]
        for line in [*lines]:
            text = line[:_LONGEST_LINE].decode("utf-8", "replace").strip()
            if text:
                yield "".join(character if character.isprintable() else " " for character in text)
    if rest.strip():
        yield rest.decode("utf-8", "replace").strip()


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End the program and what it started (its session), and reap it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    await process.wait()

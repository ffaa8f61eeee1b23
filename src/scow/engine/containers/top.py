"""Top: the host's ps on the container's processes. Nothing of the container is read or run (CVE-2022-1227)."""

import asyncio
import os
from dataclasses import dataclass

from scow.engine.containers import happenings
from scow.engine.context import Engine
from scow.errors import Conflict, Internal, InvalidArgument

_PS = "/usr/bin/ps"
_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class TopResult:
    """Column titles and one list of cells a process."""

    titles: list[str]
    processes: list[list[str]]


async def top(engine: Engine, name: str, ps_args: str = "") -> TopResult:
    """`ps_args` are ps's own ("-ef" when empty); there must be a PID column."""
    entry = engine.containers.find(name)
    if entry.container.status.state == "restarting":
        raise Conflict(f"container {name} is restarting, wait until the container is running")
    if entry.task is None:
        raise Conflict(f"container {entry.container.id} is not running")
    pids = {str(pid) for pid in await entry.task.pids()}
    result = parse(await _ps((ps_args or "-ef").split()), pids)
    happenings.publish(engine, entry.container, "top")
    return result


async def _ps(args: list[str]) -> str:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        process = await asyncio.create_subprocess_exec(
            _PS,
            *args,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except FileNotFoundError:
        raise Internal(f"{_PS} is not installed: install the package procps") from None
    try:
        out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise InvalidArgument(
            f"ps: {os.fsdecode(err).strip().splitlines()[0] if err.strip() else f'exit status {process.returncode}'}"
        )
    return os.fsdecode(out)


def parse(text: str, pids: set[str]) -> TopResult:
    """The lines of ps whose PID is one of ours. The last column keeps its blanks."""
    lines = text.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output")
    column, width = titles.index("PID"), len(titles)
    processes = []
    for line in lines[1:]:
        cells = line.split(maxsplit=width - 1)
        if len(cells) > column and cells[column] in pids:
            processes.append([cell.rstrip() for cell in cells])
    return TopResult(titles, processes)

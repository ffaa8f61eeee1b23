"""Wait for an exit or a removal."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from scow.engine.context import Engine
from scow.engine.registry import Entry
from scow.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The exit code (0-255) and an error text, mostly empty."""

    code: int
    error: str = ""


def wait(engine: Engine, name: str, condition: str = "not-running") -> Awaitable[WaitResult]:
    """Registers at once (NotFound and InvalidArgument come from this call); the awaitable gives the result."""
    entry = engine.containers.find(name)
    if condition not in ("", "not-running", "next-exit", "removed"):
        raise InvalidArgument(f'invalid condition: "{condition}"')
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    status = entry.container.status
    if condition == "removed":
        entry.removals.append(future)
    elif condition == "next-exit" or entry.running or status.state == "restarting":
        entry.exits.append(future)
    else:
        future.set_result(status.exit_code)
    return _result(entry, future)


async def _result(entry: Entry, future: "asyncio.Future[int]") -> WaitResult:
    try:
        return WaitResult(await future)
    finally:
        for waiting in (entry.exits, entry.removals):
            if future in waiting:
                waiting.remove(future)

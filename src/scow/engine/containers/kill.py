"""Kill: send a signal to the first process."""

import asyncio

from scow.engine.containers import ending, happenings, signals, stop
from scow.engine.context import Engine
from scow.errors import Conflict, InvalidArgument, NotFound


async def kill(engine: Engine, name: str, signal: str = "KILL") -> None:
    """Conflict when it does not run. After SIGKILL it has ended when this returns.

    SIGKILL and the stop signal count as the user's wish to end it.
    """
    try:
        number = signals.number(signal or "KILL")
        entry = engine.containers.find(name)
    except InvalidArgument as error:
        raise InvalidArgument(f"cannot kill container: {name}: {error.message}") from None
    except NotFound as error:
        raise NotFound(f"cannot kill container: {name}: {error.message}") from None
    await entry.settled()
    if ending.cancel_restart(engine, entry):
        await engine.containers.save(entry)
        return
    container, task = entry.container, entry.task
    if task is None:
        raise Conflict(f"cannot kill container: {name}: container {container.id} is not running")
    ends = number == 9 or number == signals.number(container.config.stop_signal or "TERM")
    if ends:
        await stop.mark_stopped(engine, entry)
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    if number == 9:
        entry.exits.append(exited)
    try:
        await task.signal(number)
        if number == 9 and container.status.state == "paused":
            await task.freeze(False)
    except BaseException as error:
        if exited in entry.exits:
            entry.exits.remove(exited)
        if isinstance(error, NotFound):
            raise Conflict(f"cannot kill container: {name}: container {container.id} is not running") from None
        raise
    happenings.publish(engine, container, "kill", signal=str(number))
    if number == 9:
        await stop.ended(entry, exited)

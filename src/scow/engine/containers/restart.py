"""Restart: stop if it runs, then start."""

from scow.engine.containers import ending, happenings, signals, stop
from scow.engine.containers.start import launch
from scow.engine.context import Engine
from scow.errors import Conflict


async def restart(engine: Engine, name: str, timeout: int | None = None, signal: str = "") -> None:
    """Leaves the container running, whatever it did before; --rm does not remove it in between."""
    entry = engine.containers.find(name)
    number = signals.number(signal) if signal else None
    if entry.removing:
        raise Conflict(f"container {name} is marked for removal and cannot be restarted")
    ending.cancel_restart(engine, entry)
    if entry.running:
        entry.restarting = True  # --rm must not take it away in between
        try:
            await stop.halt(engine, entry, timeout, number)
        finally:
            entry.restarting = False
    async with entry.lock:
        if not entry.running:
            ending.count_anew(engine, entry)
            await launch(engine, entry)
    happenings.publish(engine, entry.container, "restart")

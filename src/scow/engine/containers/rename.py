"""Rename."""

from scow.engine.containers import happenings, names
from scow.engine.context import Engine
from scow.errors import Conflict, InvalidArgument


async def rename(engine: Engine, name: str, new_name: str) -> None:
    """The new name is taken and durable when this returns; Conflict when it is in use."""
    if not name or not new_name:
        raise InvalidArgument("Neither old nor new names may be empty")
    entry = engine.containers.find(name)
    plain = names.check(new_name)
    async with entry.lock:
        old = entry.container.name
        if plain == old:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        try:
            await engine.containers.rename(entry, plain)
        except Conflict as error:
            raise Conflict(f"Error when allocating new name: {error.message}") from None
    await engine.networking.rename(entry.container.id, plain)
    engine.export(entry.container)
    happenings.publish(engine, entry.container, "rename", oldName=f"/{old}")

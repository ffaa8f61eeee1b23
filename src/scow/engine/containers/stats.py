"""Stats: what a container uses, once or as a stream."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from scow.engine.context import Engine
from scow.engine.registry import ContainerRegistry
from scow.engine.sampler import Find, Subject
from scow.model.container import Container
from scow.model.stats import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """`now` is None when the container does not run; `before` is there to compare processor times with."""

    container: Container
    now: Sample | None
    before: Sample | None = None


async def once(engine: Engine, name: str, *, compared: bool = True) -> Reading:
    """One reading; `compared` with one of about a second before, for which it may have to wait."""
    entry = engine.containers.find(name)
    before = await engine.sampler.before(entry.container.id) if compared and entry.running else None
    now = await engine.sampler.now(entry.container.id) if entry.running else None
    return Reading(entry.container, now, before if now else None)


def stream(engine: Engine, name: str) -> AsyncIterator[Reading]:
    """A reading a second until the container is removed. NotFound comes from this call."""
    return _stream(engine, engine.containers.find(name).container.id)


async def _stream(engine: Engine, container_id: str) -> AsyncIterator[Reading]:
    before: Sample | None = None
    async with aclosing(engine.sampler.watch(container_id)) as samples:
        async for now in samples:
            entry = engine.containers.get(container_id)
            if entry is None:
                return
            yield Reading(entry.container, now, before if now else None)
            before = now


def finder(containers: ContainerRegistry) -> Find:
    """How the sampler finds a container."""

    def find(container_id: str) -> Subject | None | bool:
        entry = containers.get(container_id)
        if entry is None:
            return False
        if entry.task is None:
            return None
        shares_host = entry.container.host.network_mode == "host"
        return Subject(entry.task.figures, 0 if shares_host else entry.task.pid)

    return find

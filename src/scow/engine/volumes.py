"""Volumes: the use cases over the local driver."""

from collections.abc import Mapping, Sequence

from scow.engine.containers.happenings import publish_prune
from scow.engine.context import Engine
from scow.errors import Conflict, InvalidArgument, NotFound
from scow.model.event import Event
from scow.model.volume import Volume

_FILTERS = frozenset({"dangling", "driver", "label", "name"})


def users(engine: Engine, name: str) -> list[str]:
    """Ids of containers that mount it."""
    return [e.container.id for e in engine.containers if any(point.name == name for point in e.container.mount_points)]


async def create(
    engine: Engine,
    name: str,
    driver: str = "local",
    options: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Volume:
    """The volume of that name, made if there is none; "" makes an anonymous one."""
    if driver not in ("", "local"):
        raise NotFound(f'error looking up volume plugin {driver}: plugin "{driver}" not found')
    volume = await engine.volumes.create(
        name, labels=dict(labels or {}), options=dict(options or {}), anonymous=not name
    )
    engine.events.publish(Event("volume", "create", volume.name, {"driver": "local"}, engine.clock()))
    return volume


def get(engine: Engine, name: str) -> Volume:
    """NotFound: `get NAME: no such volume`."""
    return engine.volumes.get(name)


def list_volumes(engine: Engine, filters: Mapping[str, Sequence[str]] | None = None) -> list[Volume]:
    """By name."""
    wanted = dict(filters or {})
    for key in wanted:
        if key not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    return sorted((v for v in engine.volumes.list() if _allowed(engine, v, wanted)), key=lambda volume: volume.name)


def _allowed(engine: Engine, volume: Volume, wanted: Mapping[str, Sequence[str]]) -> bool:
    for key, values in wanted.items():
        if not values:
            continue
        if key == "name" and not any(value in volume.name for value in values):
            return False
        if key == "driver" and volume.driver not in values:
            return False
        if key == "dangling" and (not users(engine, volume.name)) != (values[0] in ("true", "1")):
            return False
        if key == "label" and not _has_labels(volume, values):
            return False
    return True


def _has_labels(volume: Volume, values: Sequence[str]) -> bool:
    for wish in values:
        name, separator, value = wish.partition("=")
        if name not in volume.labels or (separator and volume.labels[name] != value):
            return False
    return True


async def remove(engine: Engine, name: str, force: bool = False) -> None:
    """Conflict while a container has it; `force` makes a missing one no error."""
    try:
        volume = engine.volumes.get(name)
    except NotFound:
        if force:
            return
        raise
    owners = users(engine, volume.name)
    if owners:
        raise Conflict(f"remove {name}: volume is in use - [{', '.join(owners)}]")
    await engine.volumes.remove(volume.name)
    engine.events.publish(Event("volume", "destroy", volume.name, {"driver": "local"}, engine.clock()))


async def prune(engine: Engine, filters: Mapping[str, Sequence[str]] | None = None) -> tuple[list[str], int]:
    """Unused anonymous volumes (`all=true`: named ones too); (names, bytes freed)."""
    wanted = dict(filters or {})
    for key in wanted:
        if key not in ("all", "label", "label!"):
            raise InvalidArgument(f"invalid filter '{key}'")
    everything = wanted.get("all", ("false",))[0] in ("true", "1")
    deleted, freed = [], 0
    for volume in engine.volumes.list():
        unlabelled = not _has_labels(volume, wanted.get("label", ()))
        excluded = any(_has_labels(volume, (wish,)) for wish in wanted.get("label!", ()))
        if users(engine, volume.name) or unlabelled or excluded or not (everything or volume.anonymous):
            continue
        freed += await engine.volumes.usage(volume.name)
        await engine.volumes.remove(volume.name)
        engine.events.publish(Event("volume", "destroy", volume.name, {"driver": "local"}, engine.clock()))
        deleted.append(volume.name)
    publish_prune(engine, "volume", freed)
    return deleted, freed

"""Look-ups: one container, many by filters, sizes."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from scow.engine.context import Engine
from scow.engine.networks import wishes
from scow.errors import InvalidArgument, NotFound
from scow.model.container import Container

_FILTERS = frozenset(
    {
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "isolation",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    }
)
_STATES = frozenset({"created", "restarting", "running", "removing", "paused", "exited", "dead"})
_HEALTH = frozenset({"starting", "healthy", "unhealthy", "none"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|ms|us|µs|ns)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def get(engine: Engine, name: str) -> Container:
    """By name, id or id prefix."""
    return engine.containers.find(name).container


def execs(engine: Engine, container_id: str) -> list[str]:
    """Ids of its running and remembered execs."""
    entry = engine.containers.get(container_id)
    return [id_ for id_, item in entry.execs.items() if item.task is not None] if entry else []


async def sizes(engine: Engine, container: Container) -> tuple[int, int]:
    """(bytes of the writable layer, bytes of the whole root file system)."""
    writable = await engine.snapshots.usage(container.id)
    try:
        return writable, writable + engine.images.resolve(container.image_id).size
    except NotFound:
        return writable, writable


def list_containers(
    engine: Engine, all: bool = False, limit: int = 0, filters: Mapping[str, Sequence[str]] | None = None
) -> list[Container]:
    """Newest first. Without `all`, a limit or a status filter only running ones."""
    wanted = dict(filters or {})
    for key in wanted:
        if key not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{key}'")
    for state in wanted.get("status", ()):
        if state not in _STATES:
            raise InvalidArgument(f"invalid filter 'status={state}'")
    for value in wanted.get("health", ()):
        if value not in _HEALTH:
            raise InvalidArgument(f"unrecognized filter value for health: {value}")
    predicates = [
        predicate for key, values in wanted.items() if values for predicate in _predicates(engine, key, values)
    ]
    shown = all or limit > 0 or "status" in wanted or "exited" in wanted
    containers = sorted((entry.container for entry in engine.containers), key=lambda c: (-c.created_at, c.id))
    result = [
        c
        for c in containers
        if (shown or c.status.state in ("running", "paused", "restarting"))
        and not any(not test(c) for test in predicates)
    ]
    return result[:limit] if limit > 0 else result


def _predicates(engine: Engine, key: str, values: Sequence[str]) -> list[Callable[[Container], bool]]:
    if key == "label":
        return [lambda c, v=value: _has_label(c.config.labels, v) for value in values]  # type: ignore[misc]
    if key in ("before", "since"):
        others = [engine.containers.find(value).container.created_at for value in values]
        if key == "before":
            return [lambda c: c.created_at < min(others)]
        return [lambda c: c.created_at > max(others)]
    if key == "ancestor":
        ids = _ancestors(engine, values)
        return [lambda c: c.image_id in ids or c.image_ref in values]
    if key == "exited":
        codes = {_integer("exited", value) for value in values}
        return [lambda c: c.status.exit_code in codes and c.status.state not in ("running", "paused", "created")]
    test = _TESTS[key]
    return [lambda c: any(test(c, value) for value in values)]


def _ancestors(engine: Engine, values: Sequence[str]) -> set[str]:
    """The named images and all whose layers begin with theirs."""
    result: set[str] = set()
    for value in values:
        try:
            bases = engine.images.variants(value)
        except NotFound:
            continue
        for base in bases:
            count = len(base.diff_ids)
            same = (image.id for image in engine.images.images() if count and image.diff_ids[:count] == base.diff_ids)
            result.update(same)
            result.add(base.id)
    return result


def _name(container: Container, value: str) -> bool:
    try:
        pattern = re.compile(value)
    except re.error:
        raise InvalidArgument(f"invalid filter 'name={value}'") from None
    return bool(pattern.search(container.name) or pattern.search("/" + container.name))


def _network(container: Container, value: str) -> bool:
    return any(value == wish.network or (value and wish.network_id.startswith(value)) for wish in wishes.of(container))


def _volume(container: Container, value: str) -> bool:
    return any(
        value in (point.name, point.target) or (point.kind == "bind" and value == point.source)
        for point in container.mount_points
    )


def _publish(container: Container, value: str) -> bool:
    number, _, protocol = value.partition("/")
    first, _, last = number.partition("-")
    low, high = _integer("publish", first), _integer("publish", last or first)
    protocol = protocol or "tcp"
    return any(
        b.protocol == protocol and low <= p <= high
        for b, p in ((x.port, x.host_port) for x in container.status.published)
    )


def _expose(container: Container, value: str) -> bool:
    number, _, protocol = value.partition("/")
    first, _, last = number.partition("-")
    low, high = _integer("expose", first), _integer("expose", last or first)
    return any(
        port.protocol == (protocol or "tcp") and low <= port.number <= high for port in container.config.exposed_ports
    )


def _health(container: Container, value: str) -> bool:
    return value == ("none" if container.status.health is None else container.status.health.status)


def _flag(container: Container, value: str) -> bool:
    return value in ("false", "0")


_TESTS: dict[str, Callable[[Container, str], bool]] = {
    "id": lambda c, value: c.id.startswith(value),
    "name": _name,
    "status": lambda c, value: c.status.state == value,
    "network": _network,
    "volume": _volume,
    "publish": _publish,
    "expose": _expose,
    "health": _health,
    "is-task": _flag,
    "isolation": lambda c, value: value in ("", "default"),
}


def _integer(key: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise InvalidArgument(f"invalid filter '{key}={value}'")
    return int(value)


def _has_label(labels: Mapping[str, str], wish: str) -> bool:
    name, separator, value = wish.partition("=")
    return name in labels and (not separator or labels[name] == value)


def prune_filter(engine: Engine, filters: Mapping[str, Sequence[str]]) -> Callable[[Container], bool]:
    """A test for prune's own filters: until, label, label!."""
    for key in filters:
        if key not in ("until", "label", "label!"):
            raise InvalidArgument(f"invalid filter '{key}'")
    until = [moment(engine, value) for value in filters.get("until", ())]
    if len(until) > 1:
        raise InvalidArgument("more than one until filter specified")

    def allowed(container: Container) -> bool:
        labels = container.config.labels
        if until and container.created_at >= until[0]:
            return False
        if any(not _has_label(labels, wish) for wish in filters.get("label", ())):
            return False
        return not any(_has_label(labels, wish) for wish in filters.get("label!", ()))

    return allowed


def moment(engine: Engine, text: str) -> int:
    """Unix seconds, a duration before now (`10m`, `1h30m`), or RFC 3339, as Unix ns."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return int(float(text) * 1e9)
    parts = _DURATION.findall(text)
    if parts and "".join(a + b for a, b in parts) == text:
        return engine.clock() - int(sum(float(a) * _UNITS[b] for a, b in parts) * 1e9)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidArgument(f"invalid filter 'until={text}'") from None
    if moment.tzinfo is None:
        moment = moment.astimezone() if time.daylight else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1e9)

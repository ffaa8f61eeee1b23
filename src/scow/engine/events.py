"""The event bus: what happened, to everybody who listens, and to those who ask later, also of an earlier daemon."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence

from scow.engine.event_log import EventLog
from scow.errors import InvalidArgument
from scow.model.event import Event

_KEPT = 1024
_QUEUE = 1024
_FILTERS = frozenset(
    {
        "config",
        "container",
        "daemon",
        "event",
        "image",
        "label",
        "network",
        "node",
        "plugin",
        "scope",
        "secret",
        "service",
        "type",
        "volume",
    }
)


class EventBus:
    """Publishing never blocks; a listener that does not read is cut off after 1024 unread events."""

    def __init__(self, log: EventLog | None = None) -> None:
        self._log = log
        self._recent: deque[Event] = deque(log.recent(_KEPT) if log else (), maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def publish(self, event: Event) -> None:
        self._recent.append(event)
        if self._log is not None:
            self._log.append(event)
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)

    def subscribe(
        self, since: int = 0, until: int = 0, filters: Mapping[str, Sequence[str]] | None = None
    ) -> AsyncIterator[Event]:
        """Events from now on until `until` (0: for ever); Unix ns. With `since` or `until` those that were before come
        first: with `since` as far as the disk has them, with `until` alone the newest 1024.
        """
        wanted = dict(filters or {})
        for key in wanted:
            if key not in _FILTERS:
                raise InvalidArgument(f"invalid filter '{key}'")
        queue: asyncio.Queue[Event | None] = asyncio.Queue(_QUEUE)
        recent = list(self._recent) if since or until else []
        self._listeners.add(queue)
        return self._stream(queue, recent, since, until, wanted)

    async def _stream(
        self,
        queue: "asyncio.Queue[Event | None]",
        recent: list[Event],
        since: int,
        until: int,
        filters: Mapping[str, Sequence[str]],
    ) -> AsyncIterator[Event]:
        try:
            past: list[Event] = []
            if self._log is not None and since and len(recent) == _KEPT and recent[0].time > since:
                past = await asyncio.to_thread(self._log.between, since, recent[0].time)
            for event in (*past, *recent):
                if event.time >= since and (not until or event.time <= until) and matches(event, filters):
                    yield event
            while queue in self._listeners or not queue.empty():
                if until:
                    left = (until - time.time_ns()) / 1e9
                    if left <= 0:
                        return
                    try:
                        item = await asyncio.wait_for(queue.get(), left)
                    except TimeoutError:
                        return
                else:
                    item = await queue.get()
                if item is not None and item.time >= since and matches(item, filters):
                    yield item
        finally:
            self._listeners.discard(queue)


def matches(event: Event, filters: Mapping[str, Sequence[str]]) -> bool:
    """Every key must match, by any of its values; Docker's rules for each key."""
    return all(any(_match_one(event, key, value) for value in values) for key, values in filters.items() if values)


def _match_one(event: Event, key: str, value: str) -> bool:
    if key == "type":
        return event.kind == value
    if key == "event":
        return event.action == value or (event.action.split(":")[0] == value)
    if key == "label":
        name, _, wanted = value.partition("=")
        return name in event.attributes and (not wanted or event.attributes[name] == wanted)
    if key == "scope":
        return value == "local"
    if key == "image":
        if event.kind not in ("image", "container"):
            return False
        name = (
            event.attributes.get("image", event.actor_id)
            if event.kind == "container"
            else event.attributes.get("name", "")
        )
        return value in (event.actor_id, name, name.rsplit(":", 1)[0])
    # as Docker: whatever the event is about, by the beginning of its id or name
    return event.actor_id.startswith(value) or event.attributes.get("name", "").startswith(value)

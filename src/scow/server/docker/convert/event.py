"""Events: domain to wire."""

from scow.api.system import EventActor, EventMessage
from scow.api.values import UNSET
from scow.model.event import Event


def show_event(event: Event) -> EventMessage:
    """Containers and images repeat action and id at the top, for old clients."""
    old = event.kind in ("container", "image")
    source = event.attributes.get("image") if event.kind == "container" else None
    return EventMessage(
        status=event.action if old else UNSET,
        id=event.actor_id if old and event.actor_id else UNSET,
        from_=source or UNSET,
        Type=event.kind,
        Action=event.action,
        Actor=EventActor(event.actor_id, event.attributes),
        scope="local",
        time=event.time // 1_000_000_000,
        timeNano=event.time,
    )

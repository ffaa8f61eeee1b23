"""Events: what happened to which object, when."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """kind: container, image, network, volume, daemon. action as Docker names it (create, start, die, pull, …).
    `actor_id` is the object's id (image: name or id), `attributes` are strings; `time` is Unix nanoseconds.
    """

    kind: str
    action: str
    actor_id: str
    attributes: dict[str, str] = field(default_factory=dict)
    time: int = 0

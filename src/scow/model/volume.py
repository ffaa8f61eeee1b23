"""Volumes: named directories that outlive containers."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume; `path` is its data directory on the host, created_at Unix nanoseconds."""

    name: str
    path: str
    driver: str = "local"
    created_at: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    anonymous: bool = False

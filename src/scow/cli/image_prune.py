"""`scow image prune`: removes images that no container uses."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.pruning import prune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all", "a", "bool", "", "Remove all unused images, not only those without a name"),
    ("filter", "", "list", "", "Remove only images that match a condition"),
    ("force", "f", "bool", "", "Do not ask"),
)


def _prune(session: Session, flags: Flags, args: list[str]) -> int:
    everything = flags.on("all")
    flags.store("filter", [f"dangling={'false' if everything else 'true'}"])
    warning = "This will remove all dangling images."
    if everything:
        warning = "This will remove all images without at least one container associated to them."
    return prune(session, flags, "/images/prune", warning, "Deleted Images:", "ImagesDeleted", removed_line)


def removed_line(item: dict[str, Any]) -> str:
    """One entry of a report."""
    return f"untagged: {item['Untagged']}" if item.get("Untagged") else f"deleted: {item['Deleted']}"


COMMAND = Command(_prune, "[OPTIONS]", "Remove unused images", "", _OPTIONS, 0, 0)

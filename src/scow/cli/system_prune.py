"""`scow system prune`: removes all that is not used: containers, networks, images and, when asked for, volumes."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.image_prune import removed_line
from scow.cli.output import line
from scow.cli.pruning import confirm, filters, remove
from scow.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all", "a", "bool", "", "Remove all unused images, not only those without a name"),
    ("filter", "", "list", "", "Remove only objects that match a condition"),
    ("force", "f", "bool", "", "Do not ask"),
    ("volumes", "", "bool", "", "Remove anonymous volumes, too"),
)


def _prune(session: Session, flags: Flags, args: list[str]) -> int:
    wanted = filters(session, flags)
    if flags.on("volumes") and any(item.partition("=")[0] == "until" for item in wanted):
        raise Exit(1, 'ERROR: The "until" filter is not supported with "--volumes"')
    confirm(flags, _question(flags, wanted))
    freed = 0
    for path, extra, title, key, show in _steps(flags):
        params = [("all", "1")] if path == "/build/prune" and flags.on("all") else []
        freed += remove(session, path, [*wanted, *extra], title, key, show, params)
    line(f"Total reclaimed space: {human_size(freed, 4)}")
    return 0


def _steps(flags: Flags) -> list[tuple[str, list[str], str, str, Callable[[Any], str]]]:
    """(path, filters of its own, title, key of the report, how an entry is shown) of each kind of object."""
    steps: list[tuple[str, list[str], str, str, Callable[[Any], str]]] = [
        ("/containers/prune", [], "Deleted Containers:", "ContainersDeleted", str),
        ("/networks/prune", [], "Deleted Networks:", "NetworksDeleted", str),
    ]
    if flags.on("volumes"):
        steps.append(("/volumes/prune", [], "Deleted Volumes:", "VolumesDeleted", str))
    dangling = f"dangling={'false' if flags.on('all') else 'true'}"
    steps.append(("/images/prune", [dangling], "Deleted Images:", "ImagesDeleted", removed_line))
    steps.append(("/build/prune", [], "Deleted build cache objects:", "CachesDeleted", str))
    return steps


def _question(flags: Flags, wanted: list[str]) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if flags.on("volumes"):
        lines.append("all anonymous volumes not used by at least one container")
    if flags.on("all"):
        lines += ["all images without at least one container associated to them", "all build cache"]
    else:
        lines += ["all dangling images", "unused build cache"]
    text = "This will remove:\n" + "".join(f"  - {item}\n" for item in lines) + "\n"
    if wanted:
        text += "  Items to be pruned will be filtered with:\n" + "".join(f"  - {item}\n" for item in wanted) + "\n"
    return text


COMMAND = Command(_prune, "[OPTIONS]", "Remove unused data", "", _OPTIONS, 0, 0)

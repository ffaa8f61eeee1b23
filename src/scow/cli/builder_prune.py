"""`scow builder prune`: removes the build cache."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.output import line
from scow.cli.pruning import confirm, filters, remove
from scow.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all", "a", "bool", "", "Remove all of the build cache, also what images share"),
    ("filter", "", "list", "", 'Remove only what matches a condition (e.g. "until=24h")'),
    ("force", "f", "bool", "", "Do not ask"),
    ("keep-storage", "", "bytes", "0", "The same as --reserved-space"),
    ("max-used-space", "", "bytes", "0", "Bytes of the most recently used cache that stay at most"),
    ("min-free-space", "", "bytes", "0", "Remove until so many bytes of the disk are free"),
    ("reserved-space", "", "bytes", "0", "Bytes of the most recently used cache that stay in any case"),
)

_SPACES = ("keep-storage", "reserved-space", "max-used-space", "min-free-space")


def _prune(session: Session, flags: Flags, args: list[str]) -> int:
    everything = flags.on("all")
    what = "all build cache" if everything else "all dangling build cache"
    confirm(flags, f"This will remove {what}. ")
    params = [("all", "1")] if everything else []
    params += [(name, flags.text(name)) for name in _SPACES if flags.text(name) != "0"]
    wanted = filters(session, flags)
    freed = remove(session, "/build/prune", wanted, "Deleted build cache objects:", "CachesDeleted", params=params)
    line(f"Total reclaimed space: {human_size(freed, 4)}")
    return 0


COMMAND = Command(_prune, "[OPTIONS]", "Remove build cache", "", _OPTIONS, 0, 0)

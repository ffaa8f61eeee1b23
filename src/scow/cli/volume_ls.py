"""`scow volume ls`: lists volumes."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.listing import FORMAT_HELP, Listing, Row, filters_param
from scow.cli.natural import natural_key
from scow.cli.output import put, warn
from scow.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("filter", "f", "list", "", "Show only volumes that match a condition"),
    ("format", "", "string", "", FORMAT_HELP),
    ("quiet", "q", "bool", "", "Show only volume names"),
)
HEADERS = {
    "Availability": "AVAILABILITY",
    "Driver": "DRIVER",
    "Group": "GROUP",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Mountpoint": "MOUNTPOINT",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
    "Size": "SIZE",
    "Status": "STATUS",
}


def _ls(session: Session, flags: Flags, args: list[str]) -> int:
    answer = session.client.get("/volumes", filters_param(flags.items("filter")))
    volumes = sorted(answer.get("Volumes") or (), key=lambda volume: natural_key(volume["Name"]))
    for text in answer.get("Warnings") or ():
        warn(text)
    rows = [row(volume) for volume in volumes]
    layout = flags.text("format")
    if flags.on("quiet") and not layout:
        layout = "{{.Name}}"
    put(Listing(("Driver", "Name"), HEADERS).render(rows, layout))
    return 0


def row(volume: dict[str, Any]) -> Row:
    """One volume of GET /volumes or /system/df."""
    labels, usage = volume.get("Labels") or {}, volume.get("UsageData")
    fields = {
        "Name": lambda: volume["Name"],
        "Driver": lambda: volume["Driver"],
        "Scope": lambda: volume.get("Scope", ""),
        "Mountpoint": lambda: volume.get("Mountpoint", ""),
        "Labels": lambda: ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Links": lambda: str(usage["RefCount"]) if usage else "N/A",
        "Size": lambda: human_size(usage["Size"]) if usage else "N/A",
        "Group": lambda: "N/A",
        "Availability": lambda: "N/A",
        "Status": lambda: "N/A",
    }
    return Row("*formatter.volumeContext", fields, labels)


COMMAND = Command(_ls, "[OPTIONS]", "List volumes", "volume ls, volume list", _OPTIONS, 0, 0)

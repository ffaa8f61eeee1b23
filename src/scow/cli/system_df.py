"""`scow system df`: what images, containers and volumes take on disk."""

from __future__ import annotations

from scow.cli.command import Command
from scow.cli.container_rows import row as container_row
from scow.cli.images import HEADERS as IMAGE_HEADERS
from scow.cli.images import first_row
from scow.cli.listing import FORMAT_HELP, Listing, Row, html_safe
from scow.cli.moments import ago, go_string
from scow.cli.output import put
from scow.cli.timestamps import parse
from scow.cli.units import human_size, short_id
from scow.cli.volume_ls import HEADERS as VOLUME_HEADERS
from scow.cli.volume_ls import row as volume_row
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("format", "", "string", "", FORMAT_HELP),
    ("verbose", "v", "bool", "", "Show every object"),
)
_HEADERS = {
    "Active": "ACTIVE",
    "Reclaimable": "RECLAIMABLE",
    "Size": "SIZE",
    "TotalCount": "TOTAL",
    "Type": "TYPE",
}
_ACTIVE = ("running", "paused", "restarting")
_IMAGES = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
_CONTAINERS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
_CONTAINER_HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "LocalVolumes": "LOCAL VOLUMES",
    "Size": "SIZE",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Names": "NAMES",
}
_CACHE_HEADERS = {
    "ID": "CACHE ID",
    "CacheType": "CACHE TYPE",
    "Size": "SIZE",
    "CreatedSince": "CREATED",
    "LastUsedSince": "LAST USED",
    "UsageCount": "USAGE",
    "Shared": "SHARED",
}


def _df(session: Session, flags: Flags, args: list[str]) -> int:
    usage = session.client.get("/system/df")
    layout = flags.text("format")
    if flags.on("verbose"):
        put(_verbose(usage, layout))
        return 0
    rows = [_images(usage), _containers(usage), _volumes(usage), _cache(usage)]
    put(Listing(("Type", "TotalCount", "Active", "Size", "Reclaimable"), _HEADERS).render(rows, layout))
    return 0


def _row(kind: str, total: int, active: int, size: int, reclaimable: str) -> Row:
    fields = {
        "Type": lambda: kind,
        "TotalCount": lambda: str(total),
        "Active": lambda: str(active),
        "Size": lambda: human_size(size, 4),
        "Reclaimable": lambda: reclaimable,
    }
    return Row("*formatter.diskUsageContext", fields)


def _share(part: int, whole: int) -> str:
    """A size with its share of the whole."""
    return human_size(part, 4) + (f" ({part * 100 // whole}%)" if whole > 0 else "")


def _images(usage: dict[str, Any]) -> Row:
    images, size = usage.get("Images") or [], usage.get("LayersSize") or 0
    used = [image for image in images if image["Containers"]]
    kept = sum(image["Size"] - image["SharedSize"] for image in used if -1 not in (image["Size"], image["SharedSize"]))
    return _row("Images", len(images), len(used), size, _share(size - kept, size))


def _containers(usage: dict[str, Any]) -> Row:
    containers = usage.get("Containers") or []
    size = sum(each.get("SizeRw") or 0 for each in containers)
    idle = sum(each.get("SizeRw") or 0 for each in containers if each["State"] not in _ACTIVE)
    active = sum(each["State"] in _ACTIVE for each in containers)
    return _row("Containers", len(containers), active, size, _share(idle, size))


def _volumes(usage: dict[str, Any]) -> Row:
    volumes = [each["UsageData"] for each in usage.get("Volumes") or []]
    known = [each for each in volumes if each["Size"] != -1]
    size = sum(each["Size"] for each in known)
    idle = sum(each["Size"] for each in known if not each["RefCount"])
    return _row("Local Volumes", len(volumes), sum(each["RefCount"] > 0 for each in volumes), size, _share(idle, size))


def _cache(usage: dict[str, Any]) -> Row:
    records = usage.get("BuildCache") or []
    size = sum(each["Size"] for each in records if not each["Shared"])
    idle = sum(each["Size"] for each in records if not each["InUse"] and not each["Shared"])
    return _row("Build Cache", len(records), sum(each["InUse"] for each in records), size, human_size(idle, 4))


def _cache_row(record: dict[str, Any], trunc: bool) -> Row:
    """One thing in the build cache."""

    def since(name: str) -> str:
        found = parse(record.get(name) or "")
        return ago(found[0] + found[1] / 1e9) if found else ""

    parent = ", ".join(record.get("Parents") or ())
    fields = {
        "ID": lambda: (short_id(record["ID"]) if trunc else record["ID"]) + ("*" if record["InUse"] else ""),
        "Parent": lambda: short_id(parent) if trunc else parent,
        "CacheType": lambda: record["Type"],
        "Description": lambda: record["Description"],
        "Size": lambda: human_size(record["Size"]),
        "CreatedAt": lambda: go_string(record["CreatedAt"]),
        "CreatedSince": lambda: since("CreatedAt"),
        "LastUsedAt": lambda: go_string(record["LastUsedAt"]) if record.get("LastUsedAt") else "",
        "LastUsedSince": lambda: since("LastUsedAt"),
        "UsageCount": lambda: str(record["UsageCount"]),
        "InUse": lambda: "true" if record["InUse"] else "false",
        "Shared": lambda: "true" if record["Shared"] else "false",
    }
    return Row("*formatter.buildCacheContext", fields)


def _by_use(record: dict[str, Any]) -> tuple[tuple[float, int], str]:
    """The least recently used first, as Docker's CLI sorts."""
    return parse(record.get("LastUsedAt") or "") or (float("-inf"), 0), record["ID"]


def _verbose(usage: dict[str, Any], layout: str) -> str:
    whole = bool(layout) and layout != "table"
    images = [first_row(image, not whole) for image in usage.get("Images") or ()]
    containers = [container_row(each, not whole) for each in usage.get("Containers") or ()]
    volumes = [volume_row(each) for each in usage.get("Volumes") or ()]
    caches = [_cache_row(each, not whole) for each in sorted(usage.get("BuildCache") or (), key=_by_use)]
    if layout in ("json", "{{json .}}"):
        kinds = {"Images": images, "Containers": containers, "Volumes": volumes, "BuildCache": caches}
        plain = {kind: [dict(row.members()) for row in rows] for kind, rows in kinds.items()}
        return html_safe(jsontext.encode(plain).decode("ascii"))
    if whole:
        fields = {
            "Images": lambda: images,
            "Containers": lambda: containers,
            "Volumes": lambda: volumes,
            "BuildCache": lambda: caches,
        }
        return Listing((), {}).render([Row("*formatter.diskUsageContext", fields)], layout).removesuffix("\n")
    parts: tuple[tuple[str, Sequence[str], dict[str, str], list[Row]], ...] = (
        ("Images space usage:", _IMAGES, IMAGE_HEADERS, images),
        ("Containers space usage:", _CONTAINERS, _CONTAINER_HEADERS, containers),
        ("Local Volumes space usage:", ("Name", "Links", "Size"), VOLUME_HEADERS, volumes),
        (f"Build cache usage: {_cache(usage).text('Size')}", tuple(_CACHE_HEADERS), _CACHE_HEADERS, caches),
    )
    return "\n".join(f"{title}\n\n{_table(columns, headers, rows)}" for title, columns, headers, rows in parts)


def _table(columns: Sequence[str], headers: dict[str, str], rows: Sequence[Row]) -> str:
    return Listing(columns, headers).render(rows, "")


COMMAND = Command(_df, "[OPTIONS]", "Show what takes space on disk", "system df", _OPTIONS, 0, 0)

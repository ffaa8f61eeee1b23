"""`scow stats`: what containers use, as a table that renews itself."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.each import AT_ONCE
from scow.cli.listing import FORMAT_HELP, Listing, Row
from scow.cli.output import put
from scow.cli.units import binary_size, human_size, short_id
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("all", "a", "bool", "", "Show all containers, not only running ones"),
    ("format", "", "string", "", FORMAT_HELP),
    ("no-stream", "", "bool", "", "Show one result and end"),
    ("no-trunc", "", "bool", "", "Don't truncate output"),
)
_HEADERS = {
    "BlockIO": "BLOCK I/O",
    "CPUPerc": "CPU %",
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "MemPerc": "MEM %",
    "MemUsage": "MEM USAGE / LIMIT",
    "Name": "NAME",
    "NetIO": "NET I/O",
    "PIDs": "PIDS",
}
_TABLE = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_PERIOD = 1.0


def _stats(session: Session, flags: Flags, args: list[str]) -> int:
    from time import monotonic, sleep

    listing = Listing(_TABLE, _HEADERS)
    layout, trunc = flags.text("format"), not flags.on("no-trunc")
    answers = _read(session, _names(session, flags, args), compared=True, strict=bool(args))
    if flags.on("no-stream"):
        put(listing.render([_row(name, found, trunc) for name, found in answers], layout))
        return 0
    due = monotonic()
    while True:
        text = listing.render([_row(name, found, trunc) for name, found in answers], layout)
        put("\033[H" + text.replace("\n", "\033[K\n") + "\033[J")
        before = {found["id"]: found for _, found in answers if found}
        now = monotonic()
        due = max(due + _PERIOD, now)
        sleep(due - now)
        answers = _read(session, _names(session, flags, args), compared=False, strict=False)
        for _, found in answers:
            if found and found["id"] in before:
                found["precpu_stats"] = before[found["id"]]["cpu_stats"]


def _names(session: Session, flags: Flags, args: list[str]) -> list[str]:
    if args:
        return args
    params = [("all", "1")] if flags.on("all") else []
    return [container["Id"] for container in session.client.get("/containers/json", params) or ()]


def _read(
    session: Session, names: Sequence[str], *, compared: bool, strict: bool
) -> list[tuple[str, dict[str, Any] | None]]:
    """Many at once, each on a connection of its own. None for one that is gone; `strict`: that is an error."""
    from scow.client.api import ApiError

    params = [("stream", "0")] if compared else [("stream", "0"), ("one-shot", "1")]
    found: list[tuple[str, dict[str, Any] | None]] = []
    errors: list[str] = []
    for start in range(0, len(names), AT_ONCE):
        batch = names[start : start + AT_ONCE]
        asked = [session.client.send("GET", f"/containers/{quote(name)}/stats", params) for name in batch]
        for name, exchange in zip(batch, asked, strict=True):
            try:
                found.append((name, exchange.answer().json()))
            except ApiError as error:
                errors.append(str(error))
                found.append((name, None))
    if strict and errors:
        raise Exit(1, "\n".join(errors))
    return found


def _row(name: str, found: dict[str, Any] | None, trunc: bool) -> Row:
    """One container; dashes for one that is gone."""
    if found is None:
        fields = {key: (lambda: "--") for key in _HEADERS}
        return Row("*container.statsContext", {**fields, "Container": lambda: name})
    used, limit = _memory(found)
    fields = {
        "Container": lambda: name,
        "Name": lambda: str(found["name"]).removeprefix("/"),
        "ID": lambda: short_id(found["id"]) if trunc else found["id"],
        "CPUPerc": lambda: f"{cpu_percentage(found):.2f}%",
        "MemUsage": lambda: f"{binary_size(used)} / {binary_size(limit)}",
        "MemPerc": lambda: f"{used / limit * 100 if limit else 0:.2f}%",
        "NetIO": lambda: _pair(*_network(found)),
        "BlockIO": lambda: _pair(*_block(found)),
        "PIDs": lambda: str((found.get("pids_stats") or {}).get("current", 0)),
    }
    return Row("*container.statsContext", fields)


def cpu_percentage(found: dict[str, Any]) -> float:
    """Of one processor: 200 is two busy ones."""
    now, before = found["cpu_stats"], found["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    online = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ())
    return float(used / passed * online * 100) if used > 0 and passed > 0 else 0.0


def _memory(found: dict[str, Any]) -> tuple[int, int]:
    """(used without the page cache that can be dropped at once, limit)."""
    memory = found.get("memory_stats") or {}
    usage, counters = memory.get("usage", 0), memory.get("stats") or {}
    for key in ("total_inactive_file", "inactive_file"):
        if key in counters:
            return (usage - counters[key] if counters[key] < usage else usage), memory.get("limit", 0)
    return usage, memory.get("limit", 0)


def _network(found: dict[str, Any]) -> tuple[int, int]:
    interfaces = (found.get("networks") or {}).values()
    return sum(item["rx_bytes"] for item in interfaces), sum(item["tx_bytes"] for item in interfaces)


def _block(found: dict[str, Any]) -> tuple[int, int]:
    entries = (found.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    read = sum(item["value"] for item in entries if item["op"][:1].lower() == "r")
    return read, sum(item["value"] for item in entries if item["op"][:1].lower() == "w")


def _pair(first: int, second: int) -> str:
    return f"{human_size(first)} / {human_size(second)}"


COMMAND = Command(
    _stats,
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    "container stats, stats",
    _OPTIONS,
    0,
    UNLIMITED,
)

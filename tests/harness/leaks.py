"""Count everything that a container can leave behind on the machine, seen from the outside.

before = leaks.count(engine)
... 500 lifecycles ...
leaks.settle(engine, before)      # fails with a table of what is more than before
"""

import os
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.harness import wipe
from tests.harness.engine import Engine


def count(engine: Engine) -> Counter[str]:
    """A number for each kind of thing that belongs to this daemon."""
    counts: Counter[str] = Counter()
    slot = engine.slot
    pids = wipe.processes(slot)
    counts["processes"] = len(pids)
    hidden = sum(len(_mountinfo(str(engine.base), pid)) for pid in _namespaces(pids, "mnt"))
    counts["mounts"] = len(wipe.mounts(slot)) + hidden
    counts["netns"] = len(_namespaces(pids, "net")) + sum("nsfs" in line for line in _mountinfo(str(engine.base)))
    counts["veths"] = max(0, len(wipe.links(slot.bridge)) - 1) + _loose_veths()
    counts["nft rules"] = _rules(engine)
    counts["cgroups"] = len(wipe.cgroups(_all_ids(engine), slot))
    counts["zombies"] = sum(_state(pid) == "Z" for pid in pids)
    counts["fds"] = _fds(engine.pid)
    counts["threads"] = len(os.listdir(f"/proc/{engine.pid}/task"))
    counts["files"] = sum(_files(path) for path in (engine.data_root / "containers", engine.exec_root))
    counts["leases"] = _leases(engine)
    return counts


def at_rest(engine: Engine, timeout: float = 10) -> Counter[str]:
    """A count that has stopped changing: what the daemon keeps ready (namespaces, monitors) has been refilled."""
    end, counts, since = time.monotonic() + timeout, count(engine), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < 1.5:
        time.sleep(0.2)
        now = count(engine)
        if now != counts:
            counts, since = now, time.monotonic()
    return counts


# What may differ when a daemon has worked: its thread pool grows to its bound, a keep-alive connection may be open.
SLACK = {"fds": 8, "threads": 64}


def settle(engine: Engine, before: Counter[str], timeout: float = 10) -> Counter[str]:
    """Wait until nothing is more than `before` (work behind the scenes ends by itself); fail with a table otherwise."""
    end = time.monotonic() + timeout
    while True:
        now = count(engine)
        more = {kind: n - before[kind] for kind, n in now.items() if n > before[kind] + SLACK.get(kind, 0)}
        if not more:
            return now
        if time.monotonic() > end:
            table = "\n".join(f"  {kind:10} {before[kind]:6} before, {now[kind]:6} after" for kind in sorted(more))
            raise AssertionError(f"left behind:\n{table}\n{_details(engine, more)}")
        time.sleep(0.2)


_seen: dict[int, set[str]] = {}


def _all_ids(engine: Engine) -> set[str]:
    """Ids of this daemon, as far as counts and `remember` have seen them."""
    seen = _seen.setdefault(id(engine), set())
    seen |= wipe.container_ids(engine.slot)
    return seen


def remember(engine: Engine, *ids: str) -> None:
    """Tell the counter about containers that come and go between two counts."""
    _seen.setdefault(id(engine), set()).update(ids)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "?"


def _fds(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _namespaces(pids: set[int], kind: str) -> list[int]:
    """One process for each namespace of a kind that is not ours."""
    found: dict[str, int] = {os.readlink(f"/proc/self/ns/{kind}"): 0}
    for pid in pids:
        try:
            found.setdefault(os.readlink(f"/proc/{pid}/ns/{kind}"), pid)
        except OSError:
            continue
    return [pid for pid in found.values() if pid]


def _mountinfo(prefix: str, pid: int | str = "self") -> list[str]:
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    except OSError:
        return []
    return [line for line in lines if line.split()[4].startswith(prefix + "/")]


def _loose_veths() -> int:
    """veths in the host's namespace that no bridge has: a half-built or half-removed endpoint of someone."""
    out = subprocess.run(["ip", "-o", "link", "show", "type", "veth"], capture_output=True, text=True).stdout
    return sum(" master " not in line for line in out.splitlines())


def _rules(engine: Engine) -> int:
    total = 0
    for family, name in wipe.tables(engine.slot):
        out = subprocess.run(["nft", "-a", "list", "table", family, name], capture_output=True, text=True).stdout
        # a rule, or an element of a set or map: both stay behind when a port is not unpublished
        total += out.count("# handle") + out.count(" : ")
    return total


def _files(root: Path) -> int:
    return sum(len(files) + len(folders) for _, folders, files in os.walk(root))


def _leases(engine: Engine) -> int:
    total = 0
    for path in engine.data_root.rglob("*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            names = [row[0] for row in db.execute("select name from sqlite_master where type='table'")]
            total += sum(db.execute(f'select count(*) from "{n}"').fetchone()[0] for n in names if "lease" in n)
        db.close()
    return total


def _details(engine: Engine, kinds: dict[str, int]) -> str:
    lines = []
    if "mounts" in kinds:
        lines += wipe.mounts(engine.slot)[:10]
    if "processes" in kinds or "zombies" in kinds:
        for pid in sorted(wipe.processes(engine.slot)):
            lines.append(f"{pid} {_state(pid)} " + _cmdline(pid))
    if "fds" in kinds:
        lines += sorted(_link(f"/proc/{engine.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{engine.pid}/fd"))
    if "cgroups" in kinds:
        lines += [str(path) for path in wipe.cgroups(_all_ids(engine), engine.slot)[:10]]
    if "files" in kinds:
        for root in (engine.data_root / "containers", engine.exec_root):
            lines += [str(path) for path in list(root.rglob("*"))[:20]]
    return "\n".join(lines)


def _cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return "?"

"""Remove everything that belongs to one slot, dead or alive: the last line of defence of a test run.

Works from the outside (/proc, mountinfo, ip, nft, the cgroup tree) and never asks the daemon, which may be broken.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.harness.slots import Slot

CGROUPS = Path("/sys/fs/cgroup")
_ONLOOKERS = {b"bash", b"/bin/bash", b"sh", b"/bin/sh", b"grep", b"tail", b"less", b"cat", b"strace"}
_ID = re.compile(r"[0-9a-f]{64}")


def processes(slot: Slot) -> set[int]:
    """Every process of the slot: those that carry its mark or name its folder, and all their descendants."""
    mark = f"SCOW_TEST_SLOT={slot.number}\0".encode()
    folder = f"{slot.base}/".encode()
    children: dict[int, list[int]] = {}
    found: set[int] = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            stat = Path(f"/proc/{entry}/stat").read_bytes()
            cmdline = Path(f"/proc/{entry}/cmdline").read_bytes()
            environ = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        parent = int(stat.rpartition(b")")[2].split()[1])
        children.setdefault(parent, []).append(int(entry))
        if mark in environ + b"\0" or (folder in cmdline and cmdline.split(b"\0")[0] not in _ONLOOKERS):
            found.add(int(entry))
        elif b"scow.zygote" in cmdline and _holds(entry, str(slot.base)):
            found.add(int(entry))  # a monitor: its environment is empty, its daemon may be dead
    todo = list(found)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    found.discard(os.getpid())
    return found


def _holds(pid: str, folder: str) -> bool:
    """Whether a process has a file below the folder open."""
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(f"{folder}/") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def mounts(slot: Slot) -> list[str]:
    """Mount points below the slot's folder in this mount namespace, innermost last."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(f"{slot.base}/"):
            points.append(point)
    return points


def container_ids(slot: Slot) -> set[str]:
    ids: set[str] = set()
    if slot.base.is_dir():
        for root in slot.base.glob("*/containers"):
            ids.update(name for name in os.listdir(root) if _ID.fullmatch(name))
    return ids


def cgroups(ids: set[str], slot: Slot) -> list[Path]:
    """Cgroup folders that name one of the containers, or the slot's bridge, innermost first."""
    found = []
    for folder, _names, _files in os.walk(CGROUPS, topdown=False):
        parts = set(re.findall(r"[0-9a-f]{64}|scowt[0-9]+(?![0-9])", folder))
        if parts & (ids | {slot.bridge}):
            found.append(Path(folder))
    return found


def tables(slot: Slot) -> list[tuple[str, str]]:
    """nft tables (family, name) of the slot: named after its bridge, or with rules that speak of it or its range."""
    out = subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, text=True)
    if out.returncode != 0:
        return []
    network = slot.bip.rpartition(".")[0] + "."
    named = re.compile(rf'"{slot.bridge}"|{slot.bridge}(?![0-9])|"{re.escape(network)}')
    found: dict[tuple[str, str], None] = {}
    for item in json.loads(out.stdout)["nftables"]:
        ((kind, value),) = item.items()
        if kind == "metainfo":
            continue
        table = (value["family"], value["name"] if kind == "table" else value["table"])
        if table[1].startswith("scow") and named.search(json.dumps(value)):
            found[table] = None
    return list(found)


def bridges(bridge: str) -> set[str]:
    """A daemon's bridge, and those of its networks: its rules name them."""
    out = subprocess.run(["nft", "list", "set", "inet", f"scow_{bridge}", "bridges"], capture_output=True, text=True)
    return {bridge, *re.findall(r'"([^"]+)"', out.stdout)}


def foreign_rules(bridge: str) -> list[list[str]]:
    """What lets the bridge by in other people's chains, as commands of iptables that delete it."""
    found = []
    for program in ("iptables", "iptables-legacy"):
        if shutil.which(program) is None:
            continue
        listing = subprocess.run([program, "-S"], capture_output=True, text=True).stdout
        for words in map(shlex.split, listing.splitlines()):
            if words[0] == "-A" and f"scow {bridge}" in words:
                found.append([program, "-D", *words[1:]])
    return found


def links(bridge: str) -> list[str]:
    """A daemon's bridges and every link that is enslaved to them."""
    out = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True)
    names = bridges(bridge)
    return [
        link["ifname"]
        for link in json.loads(out.stdout or "[]")
        if link.get("master") in names or link["ifname"] in names
    ]


def network(bridge: str) -> None:
    """Delete the links, the tables of its own, and the rules in other people's chains of the daemon of this bridge."""
    for command in foreign_rules(bridge):
        subprocess.run(command, stderr=subprocess.DEVNULL)
    for link in links(bridge):
        subprocess.run(["ip", "link", "del", link], stderr=subprocess.DEVNULL)
    for family in ("inet", "ip"):
        for name in (f"scow_{bridge}", f"scow_{bridge}_guard"):
            subprocess.run(["nft", "delete", "table", family, name], stderr=subprocess.DEVNULL)


def empty(folders: list[Path]) -> None:
    """Kill what is in these cgroups and remove them. What is frozen dies no sooner than it is thawed (cgroup version 1)."""
    for _ in range(50):
        for folder in folders:
            with contextlib.suppress(OSError):
                for pid in (folder / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if (folder / name).exists():
                    with contextlib.suppress(OSError):
                        (folder / name).write_text(value)
            with contextlib.suppress(OSError):
                folder.rmdir()
        folders = [folder for folder in folders if folder.is_dir()]
        if not folders:
            return
        time.sleep(0.1)


def wipe(slot: Slot) -> None:
    """Kill, unmount and delete all of the slot."""
    for _ in range(50):
        pids = processes(slot)
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    ids = container_ids(slot)
    for point in reversed(mounts(slot)):
        subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
    network(slot.bridge)
    for family, name in tables(slot):
        subprocess.run(["nft", "delete", "table", family, name], stderr=subprocess.DEVNULL)
    empty(cgroups(ids, slot))
    shutil.rmtree(slot.base, ignore_errors=True)

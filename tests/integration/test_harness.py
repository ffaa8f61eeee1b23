"""The harness itself: a wipe that misses something would let tests pass on a dirty machine and dirty it further."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import scratch, slots, wipe

IDENTITY = "0123456789abcdef" * 4


@pytest.fixture
def slot() -> Iterator[slots.Slot]:
    held = slots.take()
    wipe.wipe(held)
    yield held
    wipe.wipe(held)
    held.release()


def sh(command: str) -> None:
    subprocess.run(["sh", "-ec", command], check=True)


def test_two_slots_share_nothing(slot: slots.Slot) -> None:
    other = slots.take()
    assert {other.number, other.bridge, other.bip, other.base}.isdisjoint(
        {slot.number, slot.bridge, slot.bip, slot.base}
    )
    other.release()


def test_a_wipe_ends_what_is_frozen(slot: slots.Slot) -> None:
    (slot.base / "data/containers" / IDENTITY).mkdir(parents=True)
    old = wipe.CGROUPS / "freezer"
    group = (old if old.is_dir() else wipe.CGROUPS) / "scowt-check" / IDENTITY
    group.mkdir(parents=True)
    orphan = subprocess.Popen(["sleep", "600"])
    (group / "cgroup.procs").write_text(str(orphan.pid))
    (group / ("freezer.state" if old.is_dir() else "cgroup.freeze")).write_text("FROZEN" if old.is_dir() else "1")
    wipe.wipe(slot)
    assert orphan.wait(10) == -9 and not group.exists()
    group.parent.rmdir()


def test_a_wipe_finds_and_removes_all_that_a_daemon_makes(slot: slots.Slot, needs_nftables: None) -> None:
    (slot.base / "data/containers" / IDENTITY).mkdir(parents=True)
    (slot.base / "run").mkdir()
    sh(f"mount -t tmpfs none {slot.base}/run && mkdir {slot.base}/run/in && mount -t tmpfs none {slot.base}/run/in")
    sh(f"ip link add {slot.bridge} type bridge; ip addr add {slot.bip} dev {slot.bridge}")
    sh(f"ip link add vt{slot.number}a type veth peer name vt{slot.number}b")
    sh(f"ip link set vt{slot.number}a master {slot.bridge}")
    sh(f"nft add table inet scow-{slot.bridge}; nft add chain inet scow-{slot.bridge} c")
    sh(f'nft add rule inet scow-{slot.bridge} c iifname "{slot.bridge}" counter')
    foreign = shutil.which("iptables") is not None
    if foreign:
        sh(f'iptables -I FORWARD -i {slot.bridge} -m comment --comment "scow {slot.bridge}" -j ACCEPT')
    group = next(path for path in (wipe.CGROUPS / "pids", wipe.CGROUPS / "unified", wipe.CGROUPS) if path.is_dir())
    (group / "scowt-check" / IDENTITY).mkdir(parents=True)
    # a process that lost its parent, as a monitor does when its daemon is killed
    marked = subprocess.Popen(["sh", "-c", "sleep 600 & exec sleep 600"], env={**os.environ, **slot.env})

    assert wipe.mounts(slot) == [f"{slot.base}/run", f"{slot.base}/run/in"]
    assert sorted(wipe.links(slot.bridge)) == [slot.bridge, f"vt{slot.number}a"]
    assert wipe.tables(slot) == [("inet", f"scow-{slot.bridge}")]
    assert len(wipe.foreign_rules(slot.bridge)) == foreign
    assert wipe.container_ids(slot) == {IDENTITY}
    assert wipe.cgroups({IDENTITY}, slot) == [group / "scowt-check" / IDENTITY]
    assert marked.pid in wipe.processes(slot)

    wipe.wipe(slot)
    assert marked.wait(5) < 0
    assert not wipe.mounts(slot) and not wipe.links(slot.bridge) and not wipe.tables(slot) and not wipe.processes(slot)
    assert not wipe.foreign_rules(slot.bridge)
    assert not (group / "scowt-check" / IDENTITY).exists() and not slot.base.exists()
    (group / "scowt-check").rmdir()


def test_a_wipe_leaves_its_neighbour_alone(slot: slots.Slot, needs_nftables: None) -> None:
    other = slots.take()
    wipe.wipe(other)
    other.base.mkdir(parents=True)
    sh(f"ip link add {other.bridge} type bridge")
    sh(f"nft add table inet scow-{other.bridge}; nft add chain inet scow-{other.bridge} c")
    sh(f'nft add rule inet scow-{other.bridge} c iifname "{other.bridge}" counter')
    wipe.wipe(slot)
    assert wipe.links(other.bridge) and wipe.tables(other) and Path(other.base).exists()
    wipe.wipe(other)
    other.release()


def test_what_a_killed_run_has_left_is_swept() -> None:
    code = f"""
import os, subprocess, sys, time
sys.path += {sys.path!r}
from tests.harness import scratch
folder = scratch.make("x")
subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
subprocess.Popen([f"{{folder}}/x", "60"], executable="/bin/sleep")
print(folder, flush=True)
time.sleep(60)
"""
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    folder = Path(killed.stdout.readline().strip())
    scratch.sweep()
    assert folder.exists(), "it was swept while its process lived"
    killed.kill()
    killed.wait()
    scratch.sweep()
    assert killed.stdout.read() == ""  # its child, which holds the pipe too, has ended
    assert not folder.parent.exists()

"""Limits of a container's cgroup, on whichever version this machine has."""

import os
import select
import time
from typing import Any

import pytest

from scow.errors import InvalidArgument, ScowError, StartFailure, Unsupported
from scow.linux import cgroup
from scow.runtime.launch import launch
from tests.integration.runtime.harness import Area, Running, default_spec

V2 = cgroup.is_v2()
_DEVICES = default_spec([])["linux"]["resources"]["devices"]


def controllers() -> set[str]:
    if V2:
        return set(open("/sys/fs/cgroup/cgroup.controllers").read().split())
    return set(os.listdir("/sys/fs/cgroup"))


def needs(*names: str) -> pytest.MarkDecorator:
    missing = set(names) - controllers()
    return pytest.mark.skipif(bool(missing), reason=f"no cgroup controller {missing}")


def limited(area: Area, args: list[str], resources: dict[str, Any]) -> Running:
    spec = default_spec(args)
    spec["linux"]["resources"] = {"devices": _DEVICES, **resources}
    return area.start(spec)


def seen(running: Running, v1: str, v2: str) -> str:
    return running.execute(["cat", f"/sys/fs/cgroup/{v2 if V2 else v1}"]).out.strip()


@needs("memory", "pids", "cpu")
def test_limits_seen_from_inside(area: Area) -> None:
    resources = {
        "memory": {"limit": 64 << 20, "swap": 64 << 20, "reservation": 32 << 20},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000},
        "pids": {"limit": 7},
    }
    running = limited(area, ["sleep", "100"], resources)
    assert seen(running, "memory/memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert seen(running, "memory/memory.soft_limit_in_bytes", "memory.low") == str(32 << 20)
    assert seen(running, "cpu/cpu.shares", "cpu.weight") == ("20" if V2 else "512")
    assert seen(running, "cpu/cpu.cfs_quota_us", "cpu.max") == ("50000 100000" if V2 else "50000")
    assert seen(running, "pids/pids.max", "pids.max") == "7"
    running.kill()


@needs("pids")
def test_pids_limit_holds(area: Area) -> None:
    running = limited(
        area, ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; sleep 100"], {"pids": {"limit": 4}}
    )
    time.sleep(0.3)
    assert len(running.cgroup.pids()) <= 4
    running.kill()


@needs("memory")
@pytest.mark.parametrize("limit", [6 << 20, 16 << 20])
def test_out_of_memory(area: Area, limit: int) -> None:
    """The kernel kills; the cgroup counts it and its event fd tells."""
    script = "sleep 0.2; dd if=/dev/zero of=/dev/null bs=200M count=1"
    running = limited(area, ["sh", "-c", script], {"memory": {"limit": limit, "swap": limit}})
    event = running.cgroup.oom_event_fd()
    assert event is not None
    poll = select.poll()
    poll.register(event, select.POLLPRI if V2 else select.POLLIN)
    assert poll.poll(5000)
    assert os.waitstatus_to_exitcode(os.waitpid(running.pid, 0)[1]) in (-9, 137, 1, 2)
    assert running.cgroup.oom_kills() >= 1
    os.close(event)


@needs("cpuset")
def test_cpuset(area: Area) -> None:
    running = limited(area, ["sleep", "100"], {"cpu": {"cpus": "0"}})
    assert "Cpus_allowed_list:\t0\n" in open(f"/proc/{running.pid}/status").read()
    running.kill()


@pytest.mark.skipif(V2 or not os.path.isdir("/sys/fs/cgroup/cpuset"), reason="an empty cpuset takes processes here")
def test_parents_that_another_start_has_just_made(area: Area) -> None:
    """An empty cpuset takes no process: who has made it may not have filled it yet."""
    name = f"scowtest-parents-{os.getpid()}"
    os.makedirs(f"/sys/fs/cgroup/cpuset/{name}/below")
    made = cgroup.create(f"{name}/below/c", {})
    try:
        assert made.pids() == []
        with open(f"/sys/fs/cgroup/cpuset/{name}/below/c/cpuset.mems") as file:
            assert file.read().strip()
    finally:
        cgroup.open(name).remove()


def test_freeze_and_kill(area: Area) -> None:
    script = "i=0; while :; do i=$((i+1)); done"
    running = limited(area, ["sh", "-c", f"{script} & {script}"], {})
    time.sleep(0.05)
    pids = running.cgroup.pids()
    assert running.pid in pids and len(pids) == 2

    def ticks() -> list[str]:
        return [open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[11] for pid in pids]

    running.cgroup.freeze(True)
    before = ticks()
    time.sleep(0.1)
    assert ticks() == before
    running.cgroup.freeze(False)
    time.sleep(0.1)
    assert ticks() != before
    running.cgroup.freeze(True)
    running.cgroup.kill()
    assert os.waitstatus_to_exitcode(os.waitpid(running.pid, 0)[1]) == -9


def test_removal_kills_what_is_left(area: Area) -> None:
    running = limited(area, ["sh", "-c", "sleep 100 & sleep 100"], {})
    pid = os.fork()
    if pid == 0:  # reap, so that the cgroup can become empty
        os._exit(0)
    os.waitpid(pid, 0)
    running.cgroup.kill()
    os.waitpid(running.pid, 0)
    running.cgroup.remove()
    assert running.cgroup.pids() == []
    cgroup.open(running.cgroup.path).remove()  # once more is fine


def test_opened_by_path(area: Area) -> None:
    running = limited(area, ["sleep", "100"], {})
    other = cgroup.open(running.cgroup.path)
    assert other.pids() == [running.pid]
    assert other.stats()["pids"]["current"] >= 1 if "pids" in controllers() else True
    other.kill()
    os.waitpid(running.pid, 0)


@pytest.mark.parametrize(
    "resources",
    [
        {"memory": {"limit": 10**40}},
        {"pids": {"limit": 10**30}},
        {"cpu": {"quota": 1}},
        {"cpu": {"cpus": "0-4294967295"}},
        {"cpu": {"cpus": "x"}},
        {"memory": {"limit": 8 << 20, "swap": 4 << 20}},
        {"devices": [{"allow": True, "type": "q"}]},
    ],
)
def test_absurd_values_are_refused_and_leave_nothing(area: Area, resources: dict[str, Any]) -> None:
    path = f"scowtest{os.getpid()}/absurd"
    with pytest.raises((InvalidArgument, Unsupported)) as raised:
        cgroup.create(path, resources)
    value = next(iter(next(iter(resources.values())).values())) if "devices" not in resources else "q"
    assert str(value).split("'")[0] in str(raised.value) or "swap" in str(raised.value)
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        assert "absurd" not in names, directory
    cgroup.open(f"scowtest{os.getpid()}").remove()


def test_a_limit_too_small_for_a_start_is_told(area: Area) -> None:
    if "memory" not in controllers():
        pytest.skip("no memory controller")
    with pytest.raises(ScowError) as raised:
        limited(area, ["sleep", "100"], {"memory": {"limit": 64 << 10, "swap": 64 << 10}})
    assert isinstance(raised.value, StartFailure | InvalidArgument)


def test_a_deferred_cgroup_is_completed_by_the_launch(area: Area) -> None:
    """And what is wrong with its limits is told by the launch, with the child gone."""
    for value, good in ((1000, True), (10**12, False)):
        group = area.cgroup({"pids": {"limit": value}}, deferred=True)
        spec = default_spec(["sleep", "100"])
        spec["root"]["path"], mounts = area.rootfs()
        if good:
            launched = launch(spec, mounts, cgroup=group, netns=None, stdio=(0, 1, 2))
            assert group.stats()["pids"]["limit"] == value
            group.kill()
            os.waitpid(launched.pid, 0)
        else:
            with pytest.raises(InvalidArgument, match=str(value)):
                launch(spec, mounts, cgroup=group, netns=None, stdio=(0, 1, 2))
            assert group.pids() == []


def _harmless_device() -> int:
    """The minor number of a misc device (major 10) that anybody may open, if the kernel has one."""
    for line in open("/proc/misc"):
        minor, _, name = line.strip().partition(" ")
        if name in ("loop-control", "cpu_dma_latency", "fuse"):
            return int(minor)
    return 0


@pytest.mark.skipif(not _harmless_device(), reason="no device to try it with")
def test_devices_are_restricted_unless_all_are_allowed(area: Area) -> None:
    script = f"mknod /dev/odd c 10 {_harmless_device()} && : < /dev/odd && echo open"
    spec = default_spec(["sh", "-c", script])
    assert "Operation not permitted" in area.run(spec).err
    spec["linux"]["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
    assert area.run(spec).out == "open\n"

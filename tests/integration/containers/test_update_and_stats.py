"""Limits that are changed while a container runs, and what containers use, on the kernel that is there."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from scow.linux.cgroup_support import support
from tests.harness.clients import Clients, await_true
from tests.harness.engine import Engine

MB = 1 << 20
V2 = support().version == 2
FILES = {
    "memory": "memory.max" if V2 else "memory/{}/memory.limit_in_bytes",
    "pids": "pids.max" if V2 else "pids/{}/pids.max",
    "cpuset": "cpuset.cpus" if V2 else "cpuset/{}/cpuset.cpus",
    "quota": "cpu.max" if V2 else "cpu/{}/cpu.cfs_quota_us",
}


def limit(engine: Clients, name: str, what: str) -> str:
    """As the kernel has it."""
    pid = engine.inspect(name)["State"]["Pid"]
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    path = next(line.split(":")[2] for line in lines if V2 or "memory" in line.split(":")[1].split(","))
    place = f"/sys/fs/cgroup{path}/{FILES[what]}" if V2 else f"/sys/fs/cgroup/{FILES[what].format(path.strip('/'))}"
    return Path(place).read_text().split()[0]


def change(clients: Clients, name: str, **body: Any) -> Any:
    return clients.api("POST", f"/containers/{name}/update", body)


def test_limits_of_a_running_container(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "60"], HostConfig={"Memory": 64 * MB, "PidsLimit": 50})
    answer = change(clean, "c1", Memory=200 * MB, MemorySwap=400 * MB, PidsLimit=20, NanoCpus=5 * 10**8)
    assert (answer.status, answer.json()) == (200, {"Warnings": None})
    assert limit(clean, "c1", "memory") == str(200 * MB) and limit(clean, "c1", "pids") == "20"
    assert limit(clean, "c1", "quota") == "50000"
    assert change(clean, "c1", Memory=100 * MB, MemorySwap=100 * MB).status == 200  # and down again
    assert limit(clean, "c1", "memory") == str(100 * MB)
    assert change(clean, "c1", PidsLimit=-1).status == 200
    assert limit(clean, "c1", "pids") == "max"
    clean.api("POST", "/containers/c1/restart", query={"t": 0})
    assert limit(clean, "c1", "memory") == str(100 * MB)
    shown = clean.inspect("c1")["HostConfig"]
    assert (shown["Memory"], shown["MemorySwap"], shown["NanoCpus"]) == (100 * MB, 100 * MB, 5 * 10**8)


@pytest.mark.skipif(not support().cpuset, reason="the kernel has no cpuset controller")
def test_the_processors_of_a_running_container(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "60"])
    assert change(clean, "c1", CpusetCpus="0").json() == {"Warnings": None}
    assert limit(clean, "c1", "cpuset") == "0"


@pytest.mark.skipif(support().cpuset, reason="the kernel has the cpuset controller")
def test_processors_cannot_be_chosen_without_the_controller(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "60"], HostConfig={"CpuShares": 512})
    answer = change(clean, "c1", CpusetCpus="0", CpuShares=1024)
    assert answer.status == 501 and "the cpuset cgroup controller is not available" in answer.message
    shown = clean.inspect("c1")["HostConfig"]
    assert (shown["CpusetCpus"], shown["CpuShares"]) == ("", 512)


def test_fields_that_cannot_be_changed_are_refused_by_name(scratch: Engine) -> None:
    scratch.launch("c1", Cmd=["sleep", "60"])
    for field, value in (("KernelMemory", 50 * MB), ("Privileged", True), ("Binds", ["/:/x"])):
        answer = change(scratch, "c1", **{field: value})
        assert (answer.status, answer.message) == (400, f"HostConfig.{field} is not supported by scow")


def stats(clients: Clients, name: str, **query: Any) -> Any:
    return clients.api("GET", f"/containers/{name}/stats", query={"stream": 0, **query}).json()


def test_stats_of_a_busy_container(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sh", "-c", "while :; do :; done"], HostConfig={"Memory": 64 * MB, "PidsLimit": 9})
    found = stats(clean, "c1")
    used = found["cpu_stats"]["cpu_usage"]["total_usage"] - found["precpu_stats"]["cpu_usage"]["total_usage"]
    assert used > 50_000_000 and found["cpu_stats"]["system_cpu_usage"] > found["precpu_stats"]["system_cpu_usage"]
    assert found["memory_stats"]["limit"] == 64 * MB and found["memory_stats"]["usage"] > 0
    assert found["pids_stats"] == {"current": 1, "limit": 9}
    assert found["networks"]["eth0"].keys() >= {"rx_bytes", "tx_dropped"} and found["name"] == "/c1"
    assert ("percpu_usage" in found["cpu_stats"]["cpu_usage"]) != V2


def test_stats_count_the_containers_own_traffic(clean: Clients) -> None:
    clean.launch("none1", Cmd=["sleep", "60"], HostConfig={"NetworkMode": "none"})
    clean.launch("host1", Cmd=["sleep", "60"], HostConfig={"NetworkMode": "host"})
    for name in ("none1", "host1"):
        assert "networks" not in stats(clean, name, **{"one-shot": 1})
    clean.launch(
        "c1",
        Cmd=["sh", "-c", "while :; do ping -c 1 -W 1 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); done"],
    )
    await_true("packets", lambda: stats(clean, "c1", **{"one-shot": 1})["networks"]["eth0"]["tx_bytes"] > 0)


def test_a_stream_of_stats_goes_on_over_stop_and_start_and_ends_with_removal(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "60"])
    connection = clean.connect()
    connection.request("GET", "/v1.45/containers/c1/stats")
    answer = connection.getresponse()
    assert json.loads(answer.readline())["pids_stats"] == {"current": 1}
    clean.api("POST", "/containers/c1/kill")
    while json.loads(answer.readline())["pids_stats"]:
        pass
    clean.api("DELETE", "/containers/c1")
    while answer.readline():
        pass
    connection.close()


def test_the_table(clean: Clients) -> None:
    clean.launch("c1", Cmd=["sleep", "60"], HostConfig={"Memory": 64 * MB})
    lines = clean.out("stats", "--no-stream").splitlines()
    assert lines[0].split("  ")[0] == "CONTAINER ID" and " / 64MiB" in lines[1] and "c1" in lines[1]
    assert clean.out("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "c1") == "c1 1"
    gone = clean.scow("stats", "--no-stream", "nosuch")
    assert gone.returncode == 1 and "No such container: nosuch" in gone.stderr


@pytest.mark.skipif(not os.environ.get("SCOW_SOAK_STATS"), reason="a measurement: SCOW_SOAK_STATS=100")
def test_the_cost_of_many_streams(scratch: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    count = int(os.environ["SCOW_SOAK_STATS"])
    connections = []
    for number in range(count):
        scratch.launch(f"c{number}", Cmd=["sleep", "1000"])
    for number in range(count):
        connection = scratch.connect(timeout=60)
        connection.request("GET", f"/v1.45/containers/c{number}/stats")
        connections.append((connection, connection.getresponse()))
    for _ in range(3):
        for _, answer in connections:
            answer.readline()
    begin, spent = time.monotonic(), ticks(scratch.pid)
    for _ in range(15):
        for _, answer in connections:
            answer.readline()
    share = (ticks(scratch.pid) - spent) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)
    with capsys.disabled():
        print(f"\nstats of {count} containers, one stream each: {share:.1%} of a processor")


def ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])

"""Which limits this machine's kernel knows, whatever version its cgroups have."""

import os
from dataclasses import dataclass

from scow.linux.cgroup_files import ROOT, read


@dataclass(frozen=True, slots=True)
class Support:
    """Docker's words of /info. swap: memory and swap are limited together, or swap alone in version 2."""

    version: int
    memory: bool
    swap: bool
    oom_kill_disable: bool
    cpu_shares: bool
    cpu_quota: bool
    cpuset: bool
    pids: bool


def support(root: str = ROOT) -> Support:
    """As it is now; reads a few files."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        there = set(read(root, "cgroup.controllers").split())
        cpu = "cpu" in there
        return Support(2, "memory" in there, accounts_swap(root), False, cpu, cpu, "cpuset" in there, "pids" in there)

    def has(path: str) -> bool:
        return os.path.exists(f"{root}/{path}")

    return Support(
        1,
        memory=has("memory/memory.limit_in_bytes"),
        swap=accounts_swap(root),
        oom_kill_disable=has("memory/memory.oom_control"),
        cpu_shares=has("cpu/cpu.shares"),
        cpu_quota=has("cpu/cpu.cfs_quota_us"),
        cpuset=has("cpuset/cpuset.cpus"),
        pids=has("pids"),
    )


def accounts_swap(root: str = ROOT) -> bool:
    """Whether swap is limited too. In version 2 the root has no such file, so one of the groups below is asked."""
    if not os.path.exists(f"{root}/cgroup.controllers"):
        return os.path.exists(f"{root}/memory/memory.memsw.limit_in_bytes")
    with os.scandir(root) as entries:
        for entry in entries:
            if os.path.exists(f"{entry.path}/memory.max"):
                return os.path.exists(f"{entry.path}/memory.swap.max")
    return True

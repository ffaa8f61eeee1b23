"""Resource limits: checked as Docker checks them, then written in the runtime specification's words."""

import os
from typing import Any

from scow.errors import InvalidArgument
from scow.model.container import HostConfig, Resources

_MINIMUM_MEMORY = 6 << 20
_MAXIMUM = (1 << 63) - 1

RLIMITS = {
    "core": "RLIMIT_CORE",
    "cpu": "RLIMIT_CPU",
    "data": "RLIMIT_DATA",
    "fsize": "RLIMIT_FSIZE",
    "locks": "RLIMIT_LOCKS",
    "memlock": "RLIMIT_MEMLOCK",
    "msgqueue": "RLIMIT_MSGQUEUE",
    "nice": "RLIMIT_NICE",
    "nofile": "RLIMIT_NOFILE",
    "nproc": "RLIMIT_NPROC",
    "rss": "RLIMIT_RSS",
    "rtprio": "RLIMIT_RTPRIO",
    "rttime": "RLIMIT_RTTIME",
    "sigpending": "RLIMIT_SIGPENDING",
    "stack": "RLIMIT_STACK",
}


def check(host: HostConfig) -> None:
    """InvalidArgument with Docker's sentence for a limit that cannot be."""
    limits = host.resources
    for name, value in (("memory", limits.memory), ("memory reservation", limits.memory_reservation)):
        if not 0 <= value <= _MAXIMUM:
            raise InvalidArgument(f"invalid {name} limit {value}: must be between 0 and {_MAXIMUM} bytes")
    if limits.memory and limits.memory < _MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    _check_swap(limits)
    if limits.memory_reservation and limits.memory and limits.memory < limits.memory_reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    _check_cpu(limits)
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    for ulimit in host.ulimits:
        if ulimit.name not in RLIMITS:
            raise InvalidArgument(f"invalid ulimit type: {ulimit.name}")
        if ulimit.hard != -1 and (ulimit.soft == -1 or ulimit.soft > ulimit.hard):
            raise InvalidArgument(
                f"ulimit soft limit must be less than or equal to hard limit: {ulimit.soft} > {ulimit.hard}"
            )
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")


def _check_swap(limits: Resources) -> None:
    if limits.memory_swap > 0 and not limits.memory:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if limits.memory and limits.memory_swap > 0 and limits.memory_swap < limits.memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    swappiness = limits.memory_swappiness
    if swappiness is not None and swappiness != -1 and not 0 <= swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")


def _check_cpu(limits: Resources) -> None:
    count = os.cpu_count() or 1
    if limits.nano_cpus:
        if limits.cpu_period or limits.cpu_quota:
            other = "CPU Period" if limits.cpu_period else "CPU Quota"
            raise InvalidArgument(f"Conflicting options: Nano CPUs and {other} cannot both be set")
        if limits.nano_cpus < 0 or limits.nano_cpus > count * 10**9:
            raise InvalidArgument(f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    if limits.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({limits.cpu_shares}): value must be a positive integer")
    if limits.cpu_period and not 1000 <= limits.cpu_period <= 1000000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if limits.cpu_quota > 0 and limits.cpu_quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    for kind, text, file in (
        ("CPUs", limits.cpuset_cpus, "/sys/devices/system/cpu/online"),
        ("memory nodes", limits.cpuset_mems, "/sys/devices/system/node/online"),
    ):
        if text:
            _check_set(kind, text, file)


def _check_set(kind: str, text: str, file: str) -> None:
    try:
        with open(file, encoding="ascii") as stream:
            online = stream.read().strip()
    except OSError:
        online = "0"
    try:
        wanted, available = _numbers(text), _numbers(online)
    except ValueError:
        field = "cpus" if kind == "CPUs" else "mems"
        raise InvalidArgument(f"Invalid value {text} for cpuset {field}") from None
    if not wanted <= available:
        raise InvalidArgument(f"Requested {kind} are not available - requested {text}, available: {online}")


def _numbers(text: str) -> set[int]:
    result: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = int(first)
        end = int(last) if dash else start
        if not (first.isascii() and first.isdecimal() and 0 <= start <= end < 8192):
            raise ValueError(part)
        result.update(range(start, end + 1))
    return result


def runtime_resources(limits: Resources) -> dict[str, Any]:
    """linux.resources without devices."""
    memory: dict[str, Any] = {}
    if limits.memory:
        memory["limit"] = limits.memory
        memory["swap"] = limits.memory_swap or limits.memory * 2
    if limits.memory_reservation:
        memory["reservation"] = limits.memory_reservation
    if limits.memory_swappiness is not None and limits.memory_swappiness >= 0:
        memory["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        memory["disableOOMKiller"] = True
    cpu: dict[str, Any] = {}
    if limits.cpu_shares:
        cpu["shares"] = limits.cpu_shares
    if limits.nano_cpus:
        cpu["period"] = 100000
        cpu["quota"] = limits.nano_cpus * 100000 // 10**9
    else:
        if limits.cpu_period:
            cpu["period"] = limits.cpu_period
        if limits.cpu_quota:
            cpu["quota"] = limits.cpu_quota
    if limits.cpuset_cpus:
        cpu["cpus"] = limits.cpuset_cpus
    if limits.cpuset_mems:
        cpu["mems"] = limits.cpuset_mems
    result: dict[str, Any] = {}
    if memory:
        result["memory"] = memory
    if cpu:
        result["cpu"] = cpu
    if limits.pids_limit is not None and limits.pids_limit != 0:
        result["pids"] = {"limit": limits.pids_limit if limits.pids_limit > 0 else -1}
    if limits.blkio_weight:
        result["blockIO"] = {"weight": limits.blkio_weight}
    return result


def rlimits(host: HostConfig, defaults: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[str]]:
    """(process.rlimits, the names that the user asked for himself). `defaults` are daemon words like
    `nofile=1024:2048`.
    """
    chosen: dict[str, tuple[int, int]] = {}
    for word in defaults:
        name, _, value = word.partition("=")
        soft, _, hard = value.partition(":")
        chosen[name] = (int(soft), int(hard or soft))
    explicit = []
    for ulimit in host.ulimits:
        chosen[ulimit.name] = (ulimit.soft, ulimit.hard)
        explicit.append(RLIMITS[ulimit.name])
    infinity = (1 << 64) - 1  # RLIM_INFINITY as the specification writes it
    entries = [
        {"type": RLIMITS[name], "soft": infinity if soft == -1 else soft, "hard": infinity if hard == -1 else hard}
        for name, (soft, hard) in chosen.items()
        if name in RLIMITS
    ]
    return entries, explicit

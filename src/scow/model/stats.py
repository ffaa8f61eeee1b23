"""What a running container uses: one sample of its control group's counters and of its network interfaces.

Times are Unix nanoseconds, processor times nanoseconds, sizes bytes. Reading is done elsewhere; this is how the raw
figures of `linux.cgroup` become values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_V1_MEMORY = (
    "active_anon", "active_file", "cache", "dirty", "inactive_anon", "inactive_file", "mapped_file", "pgfault",
    "pgmajfault", "pgpgin", "pgpgout", "rss", "rss_huge", "unevictable", "writeback",
)  # fmt: skip
_V1_KEYS = frozenset(
    (*_V1_MEMORY, *(f"total_{name}" for name in _V1_MEMORY), "hierarchical_memory_limit", "hierarchical_memsw_limit")
)
_V2_KEYS = (
    "anon", "file", "kernel_stack", "slab", "sock", "shmem", "file_mapped", "file_dirty", "file_writeback", "anon_thp",
    "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "slab_reclaimable",
    "slab_unreclaimable", "pgfault", "pgmajfault", "workingset_refault", "workingset_activate",
    "workingset_nodereclaim", "pgrefill", "pgscan", "pgsteal", "pgactivate", "pgdeactivate", "pglazyfree",
    "pglazyfreed", "thp_fault_alloc", "thp_collapse_alloc",
)  # fmt: skip
_SPLIT_IN_TWO = frozenset(("workingset_refault", "workingset_activate"))  # by anon and file, since Linux 5.9


@dataclass(frozen=True, slots=True)
class Processor:
    """per_cpu is empty where the kernel does not tell. system: busy and idle time of all processors together."""

    total: int = 0
    per_cpu: tuple[int, ...] = ()
    kernel: int = 0
    user: int = 0
    system: int = 0
    online: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


@dataclass(frozen=True, slots=True)
class BlockFigure:
    """One counter of one device: op is the kernel's word (Read, read, …)."""

    major: int
    minor: int
    op: str
    value: int


@dataclass(frozen=True, slots=True)
class InterfaceFigures:
    """Counters of a network interface, in the order of /proc/net/dev."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """version: of the control groups (1 or 2). limit 0 in pids_limit is none. block_counts exist in version 1 only."""

    read: int
    version: int
    processor: Processor
    memory_usage: int = 0
    memory_peak: int = 0
    memory_limit: int = 0
    memory_failures: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    pids: int = 0
    pids_limit: int = 0
    block_bytes: tuple[BlockFigure, ...] = ()
    block_counts: tuple[BlockFigure, ...] = ()
    networks: Mapping[str, InterfaceFigures] | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What all samples of one moment share."""

    read: int
    system: int
    online: int
    memory: int


def sample(
    raw: Mapping[str, Any], version: int, machine: Machine, networks: Mapping[str, InterfaceFigures] | None
) -> Sample:
    """From the figures of `Cgroup.stats`. A limit beyond the machine's memory is the machine's memory."""
    memory, cpu = raw.get("memory") or {}, raw.get("cpu") or {}
    throttling, pids, block = raw.get("throttling") or {}, raw.get("pids") or {}, raw.get("blkio") or {}
    limit = memory.get("limit", 0) or machine.memory
    waited = throttling.get("throttled_time", 0) if version == 1 else throttling.get("throttled_usec", 0) * 1000
    return Sample(
        read=machine.read,
        version=version,
        processor=Processor(
            total=cpu.get("total", 0),
            per_cpu=tuple(cpu.get("per_cpu", ())),
            kernel=cpu.get("system", 0),
            user=cpu.get("user", 0),
            system=machine.system,
            online=machine.online,
            periods=throttling.get("nr_periods", 0),
            throttled_periods=throttling.get("nr_throttled", 0),
            throttled_time=waited,
        ),
        memory_usage=memory.get("usage", 0),
        memory_peak=memory.get("max_usage", 0) if version == 1 else 0,
        memory_limit=min(limit, machine.memory),
        memory_failures=memory.get("failures", 0),
        memory=_memory(memory.get("stats") or {}, version),
        pids=pids.get("current", 0),
        pids_limit=pids.get("limit", 0),
        block_bytes=_throttled(block.get("io_service_bytes", ()))
        if version == 1
        else _io_stat(block.get("io_stat", ())),
        block_counts=_throttled(block.get("io_serviced", ())) if version == 1 else (),
        networks=networks,
    )


def _memory(found: Mapping[str, int], version: int) -> dict[str, int]:
    if version == 1:
        return {name: value for name, value in found.items() if name in _V1_KEYS}
    result = {name: found.get(name, 0) for name in _V2_KEYS}
    for name in _SPLIT_IN_TWO - found.keys():
        result[name] = found.get(f"{name}_anon", 0) + found.get(f"{name}_file", 0)
    return result


def _throttled(lines: Any) -> tuple[BlockFigure, ...]:
    """`254:0 Read 8192`; the line with the sum of all devices has no number of one."""
    result = []
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            major, _, minor = words[0].partition(":")
            result.append(BlockFigure(int(major), int(minor), words[1], int(words[2])))
    return tuple(result)


def _io_stat(lines: Any) -> tuple[BlockFigure, ...]:
    """`254:0 rbytes=8192 wbytes=0 …`"""
    result = []
    for line in lines:
        device, _, rest = line.partition(" ")
        major, colon, minor = device.partition(":")
        if not colon or not major.isdigit() or not minor.isdigit():
            continue
        values = dict(word.partition("=")[::2] for word in rest.split())
        for op, key in (("read", "rbytes"), ("write", "wbytes")):
            value = values.get(key, "")
            if value.isdigit():
                result.append(BlockFigure(int(major), int(minor), op, int(value)))
    return tuple(result)


def interfaces(text: str) -> dict[str, InterfaceFigures]:
    """A network namespace's /proc/net/dev, without the loopback."""
    result = {}
    for line in text.split("\n")[2:]:
        name, _, rest = line.partition(":")
        words = rest.split()
        name = name.strip()
        if name and name != "lo" and len(words) >= 12 and all(word.isdigit() for word in words[:12]):
            rx, tx = map(int, words[:4]), map(int, words[8:12])
            result[name] = InterfaceFigures(*rx, *tx)
    return result


def processor_time(text: str) -> int:
    """The first line of /proc/stat: what all processors did since boot, idling included; in nanoseconds."""
    words = text.split("\n", 1)[0].split()
    return sum(int(word) for word in words[1:8] if word.isdigit()) * 10_000_000

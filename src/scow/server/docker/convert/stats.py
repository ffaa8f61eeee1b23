"""Stats: domain to wire. A figure that is zero is left out where Docker leaves it out."""

from collections.abc import Sequence

from scow.api.stats import (
    BlkioStats,
    BlockEntry,
    CpuStats,
    CpuUsage,
    MemoryStats,
    NetworkStats,
    PidsStats,
    Stats,
    Throttling,
)
from scow.api.values import UNSET
from scow.engine.containers.stats import Reading
from scow.model.stats import BlockFigure, Processor, Sample
from scow.server.docker.convert.times import rfc3339


def show_stats(reading: Reading) -> Stats:
    """All zero for a container that does not run."""
    container, now, before = reading.container, reading.now, reading.before
    return Stats(
        read=rfc3339(now.read if now else 0),
        preread=rfc3339(before.read if before else 0),
        pids_stats=PidsStats(now.pids or UNSET, now.pids_limit or UNSET) if now else PidsStats(),
        blkio_stats=_block(now) if now else BlkioStats(),
        num_procs=0,
        storage_stats={},
        cpu_stats=_cpu(now.processor) if now else CpuStats(),
        precpu_stats=_cpu(before.processor) if before else CpuStats(),
        memory_stats=_memory(now) if now else MemoryStats(),
        name=f"/{container.name}",
        id=container.id,
        networks=_networks(now) or UNSET if now else UNSET,
    )


def _cpu(processor: Processor) -> CpuStats:
    return CpuStats(
        CpuUsage(processor.total, list(processor.per_cpu) or UNSET, processor.kernel, processor.user),
        processor.system or UNSET,
        processor.online or UNSET,
        Throttling(processor.periods, processor.throttled_periods, processor.throttled_time),
    )


def _memory(now: Sample) -> MemoryStats:
    return MemoryStats(
        now.memory_usage or UNSET,
        now.memory_peak or UNSET,
        dict(sorted(now.memory.items())) or UNSET,
        now.memory_failures or UNSET,
        now.memory_limit or UNSET,
    )


def _block(now: Sample) -> BlkioStats:
    if now.version == 2:
        return BlkioStats(_entries(now.block_bytes) or None)
    return BlkioStats(_entries(now.block_bytes), _entries(now.block_counts), [], [], [], [], [], [])


def _entries(figures: Sequence[BlockFigure]) -> list[BlockEntry]:
    return [BlockEntry(figure.major, figure.minor, figure.op, figure.value) for figure in figures]


def _networks(now: Sample) -> dict[str, NetworkStats]:
    return {
        name: NetworkStats(
            f.rx_bytes, f.rx_packets, f.rx_errors, f.rx_dropped, f.tx_bytes, f.tx_packets, f.tx_errors, f.tx_dropped
        )
        for name, f in (now.networks or {}).items()
    }

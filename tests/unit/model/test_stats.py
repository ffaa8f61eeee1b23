"""Raw figures of both kinds of control groups as samples."""

from hypothesis import given
from hypothesis import strategies as st

from scow.model import stats
from scow.model.stats import BlockFigure, InterfaceFigures, Machine

MACHINE = Machine(read=5, system=100, online=2, memory=1 << 34)
DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       9       9    0    0    0     0          0         0        9       9    0    0    0     0       0          0
  eth0:     646       5    1    2    0     0          0         0       70       8    3    4    0     0       0          0
"""


def test_version_1() -> None:
    raw = {
        "memory": {"usage": 5, "max_usage": 9, "limit": 1 << 62, "stats": {"rss": 1, "total_rss": 2, "swap": 3}},
        "cpu": {"total": 7, "per_cpu": [3, 4], "user": 10, "system": 20},
        "throttling": {"nr_periods": 1, "nr_throttled": 2, "throttled_time": 3},
        "pids": {"current": 2, "limit": 0},
        "blkio": {"io_service_bytes": ["254:0 Read 8192", "254:0 Total 8192", "Total 8192", ""], "io_serviced": ["254:0 Read 2"]},
    }  # fmt: skip
    found = stats.sample(raw, 1, MACHINE, None)
    assert found.memory == {"rss": 1, "total_rss": 2} and found.memory_peak == 9
    assert found.memory_limit == MACHINE.memory  # without a limit of its own
    assert found.block_bytes == (BlockFigure(254, 0, "Read", 8192), BlockFigure(254, 0, "Total", 8192))
    assert found.block_counts == (BlockFigure(254, 0, "Read", 2),)
    cpu = found.processor
    assert (cpu.per_cpu, cpu.kernel, cpu.user, cpu.system, cpu.throttled_time) == ((3, 4), 20, 10, 100, 3)


def test_version_2() -> None:
    raw = {
        "memory": {
            "usage": 5, "max_usage": 9, "limit": 64 << 20, "failures": 1,
            "stats": {"anon": 1, "workingset_refault_anon": 2, "workingset_refault_file": 3, "zswap": 4},
        },
        "throttling": {"throttled_usec": 3}, "pids": {"current": 2, "limit": 10},
        "blkio": {"io_stat": ["254:0 rbytes=8192 wbytes=1 rios=2", "254:16", ""]},
    }  # fmt: skip
    found = stats.sample(raw, 2, MACHINE, {"eth0": InterfaceFigures()})
    assert found.memory["anon"] == 1 and found.memory["workingset_refault"] == 5 and "zswap" not in found.memory
    assert (found.memory_limit, found.memory_peak, found.memory_failures) == (64 << 20, 0, 1)
    assert found.processor.throttled_time == 3000
    assert found.block_bytes == (BlockFigure(254, 0, "read", 8192), BlockFigure(254, 0, "write", 1))


def test_interfaces_without_the_loopback() -> None:
    assert stats.interfaces(DEV) == {"eth0": InterfaceFigures(646, 5, 1, 2, 70, 8, 3, 4)}


def test_processor_time_has_no_time_of_guests() -> None:
    assert stats.processor_time("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n") == 28 * 10_000_000


@given(st.text())
def test_parsers_take_anything(text: str) -> None:
    stats.interfaces(text)
    stats.processor_time(text)


@given(st.lists(st.text()))
def test_block_parsers_take_anything(lines: list[str]) -> None:
    for version in (1, 2):
        stats.sample(
            {"blkio": {"io_service_bytes": lines, "io_serviced": lines, "io_stat": lines}}, version, MACHINE, None
        )

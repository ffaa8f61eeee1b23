"""Reading a log that is rotated, compressed, truncated or followed: files of a temporary directory, no sleeps."""

import asyncio
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scow.errors import DataLoss
from scow.logs.drivers.jsonfile import JsonFile
from scow.logs.files import LogFiles
from scow.logs.reader import LogQuery, read_log
from scow.logs.validation import JsonFileOptions

TIME = "2026-11-24T03:55:16Z"
NOW = 1795492516601614638


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"log":"%d\\n","stream":"stdout","time":"2026-11-24T03:55:16Z"}\n' % n for n in numbers)


def read(path: Path, *, ended: Callable[[], bool] = lambda: True, **query: Any) -> list[int]:
    async def collect() -> bytes:
        chunks = read_log(str(path), LogQuery(**query), framed=False, ended=ended)
        return b"".join([chunk async for chunk in chunks])

    return [int(line) for line in asyncio.run(collect()).split()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x-json.log"


def rotated(path: Path) -> list[int]:
    path.with_name(path.name + ".3.gz").write_bytes(gzip.compress(lines(0, 1, 2)) + gzip.compress(lines(3)))
    path.with_name(path.name + ".2.gz").write_bytes(gzip.compress(lines(4, 5)))
    path.with_name(path.name + ".1").write_bytes(lines(6, 7, 8))
    path.write_bytes(lines(9, 10))
    return list(range(11))


def test_rotated_and_compressed_files_are_one_log(path: Path) -> None:
    everything = rotated(path)
    assert read(path) == everything


@pytest.mark.parametrize("tail", range(13))
def test_tail_goes_back_through_rotated_files(path: Path, tail: int) -> None:
    everything = rotated(path)
    assert read(path, tail=tail) == everything[max(0, len(everything) - tail) :]


def test_no_file_is_an_empty_log(path: Path) -> None:
    assert read(path) == []
    assert read(path, follow=True, tail=3) == []


def test_a_half_line_at_the_end_is_left_out(path: Path) -> None:
    path.write_bytes(lines(1, 2) + lines(3)[:-5])
    assert read(path) == [1, 2]
    assert read(path, tail=1) == [2]


def test_a_damaged_compressed_file_costs_only_its_rest(path: Path) -> None:
    data = gzip.compress(lines(*range(1000)))
    path.with_name(path.name + ".1.gz").write_bytes(data[: len(data) // 2])
    path.write_bytes(lines(2000))
    found = read(path)
    assert found[-1] == 2000 and found[:-1] == list(range(len(found) - 1))
    path.with_name(path.name + ".1.gz").write_bytes(b"no gzip at all")
    assert read(path) == [2000]
    assert read(path, tail=5) == [2000]


def test_links_and_devices_are_refused(path: Path, tmp_path: Path) -> None:
    """CVE-2026-53489, CVE-2015-3627: a log or a rotated log that is a link shows nothing of its target."""
    (tmp_path / "canary").write_bytes(lines(666))
    path.symlink_to(tmp_path / "canary")
    with pytest.raises(DataLoss):
        read(path)
    path.unlink()
    path.write_bytes(lines(1))
    path.with_name(path.name + ".1").symlink_to(tmp_path / "canary")
    with pytest.raises(DataLoss):
        read(path)
    path.with_name(path.name + ".1").unlink()
    os.mkfifo(path.with_name(path.name + ".1"))
    with pytest.raises(DataLoss):
        read(path)


def test_a_hole_of_megabytes_is_crossed(path: Path) -> None:
    with path.open("wb") as file:
        file.write(lines(1))
        file.seek(20 << 20, os.SEEK_CUR)
        file.write(lines(2, 3))
    assert read(path) == [1, 2, 3]
    assert read(path, tail=1) == [3]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 6000), min_size=1, max_size=4), st.integers(0, 15000), st.data())
def test_tail_against_the_obvious_way(tmp_path_factory: Any, sizes: list[int], tail: int, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("t") / "x-json.log"
    first = 0
    for number in range(len(sizes) - 1, -1, -1):
        block = lines(*range(first, first + sizes[number]))
        first += sizes[number]
        if number and data.draw(st.booleans()):
            path.with_name(f"{path.name}.{number}.gz").write_bytes(gzip.compress(block, 1))
        else:
            path.with_name(f"{path.name}.{number}" if number else path.name).write_bytes(block)
    assert read(path, tail=tail) == list(range(max(0, first - tail), first))


class Follower:
    """A LogFiles that is read by hand: what happens between two reads is the test's choice."""

    def __init__(self, path: Path, tail: int = -1) -> None:
        self.files = LogFiles(str(path), tail)

    def new(self) -> list[int]:
        found = []
        self.files.follow()
        while block := self.files.block():
            found += [int(json.loads(line)["log"]) for line in block.splitlines()]
        return found


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_follow_sees_lines_when_they_are_complete(path: Path) -> None:
    follower = Follower(path)
    assert follower.new() == []
    append(path, lines(1) + lines(2)[:20])
    assert follower.new() == [1]
    append(path, lines(2)[20:])
    assert follower.new() == [2]


def test_follow_through_truncation(path: Path) -> None:
    append(path, lines(*range(10)))
    follower = Follower(path)
    assert follower.new() == list(range(10))
    path.write_bytes(b"")
    assert follower.new() == []
    append(path, lines(20))
    assert follower.new() == [20]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("every", [1, 5, 17, 60])
def test_follow_through_any_number_of_rotations(path: Path, compress: bool, every: int) -> None:
    log = JsonFile(str(path), {}, JsonFileOptions(300, 50, compress))
    follower = Follower(path)
    found = []
    for number in range(120):
        log.write(1, b"%d\n" % number, NOW + number)
        if number % every == 0:
            found += follower.new()
    log.close(NOW)
    assert found + follower.new() == list(range(120))


def test_follow_when_the_single_file_begins_anew(path: Path) -> None:
    log = JsonFile(str(path), {}, JsonFileOptions(300, 1, False))
    follower = Follower(path)
    found = []
    for number in range(40):
        log.write(1, b"%d\n" % number, NOW)
        found += follower.new()
    log.close(NOW)
    assert found == list(range(40))


def test_follow_through_logrotate(path: Path) -> None:
    append(path, lines(1))
    follower = Follower(path)
    assert follower.new() == [1]
    append(path, lines(2))
    path.rename(path.with_name("x-json.log-20261124"))
    append(path.with_name("x-json.log-20261124"), lines(3))  # written by a driver that has not looked yet
    assert follower.new() == [2, 3]
    append(path, lines(4))
    assert follower.new() == [4]


def test_follow_ends_when_the_writer_has_and_everything_is_read(path: Path) -> None:
    looks = 0

    def ended() -> bool:
        nonlocal looks
        looks += 1
        if looks <= 5:
            append(path, lines(looks))  # written just before the end is known
        return looks >= 5

    assert read(path, ended=ended, follow=True) == [1, 2, 3, 4, 5]


def test_follow_ends_at_until(path: Path) -> None:
    append(path, lines(1))
    assert read(path, ended=lambda: False, follow=True, until=NOW) == [1]


def test_abandoned_iteration_closes_its_files(path: Path) -> None:
    append(path, lines(1))

    async def abandon() -> int:
        chunks = read_log(str(path), LogQuery(follow=True), framed=False, ended=lambda: False)
        async for _ in chunks:
            break
        await chunks.aclose()  # type: ignore[attr-defined]
        return sum(os.readlink(f"/proc/self/fd/{fd}") == str(path) for fd in _fds())

    assert asyncio.run(abandon()) == 0


def _fds() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]

"""The json-file driver on a real directory: rotation, logrotate, truncation, full disks, links."""

import errno
import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from scow.errors import StartFailure
from scow.logs.drivers.jsonfile import JsonFile
from scow.logs.drivers.opening import open_driver
from scow.logs.validation import JsonFileOptions

NOW = 1795492516601614638


def logs(path: Path) -> list[str]:
    return [json.loads(line)["log"] for line in path.read_bytes().splitlines()]


def driver(path: Path, max_size: int = 0, max_files: int = 1, compress: bool = False) -> JsonFile:
    return JsonFile(str(path), {}, JsonFileOptions(max_size, max_files, compress))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x-json.log"


def test_streams_times_and_mode(path: Path) -> None:
    log = driver(path)
    log.write(1, b"one\n", NOW)
    log.write(2, b"two", NOW)
    log.close(1795492516000000000)
    assert path.read_text() == (
        '{"log":"one\\n","stream":"stdout","time":"2026-11-24T03:55:16.601614638Z"}\n'
        '{"log":"two","stream":"stderr","time":"2026-11-24T03:55:16Z"}\n'
    )
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_old_log_is_continued(path: Path) -> None:
    for text in (b"a\n", b"b\n"):
        log = driver(path)
        log.write(1, text, NOW)
        log.close(NOW)
    assert logs(path) == ["a\n", "b\n"]


def test_rotation_names_and_sizes_are_dockers(path: Path) -> None:
    log = driver(path, 1024, 3)
    log.write(1, b"".join(b"line %d\n" % i for i in range(1, 101)), NOW)
    log.close(NOW)
    files = sorted(p.name for p in path.parent.iterdir())
    assert files == ["x-json.log", "x-json.log.1", "x-json.log.2"]
    # a file takes records until it has reached the size, so it is at most one record longer
    for name in files[1:]:
        lines = (path.parent / name).read_bytes().splitlines(keepends=True)
        size = sum(map(len, lines))
        assert size >= 1024 > size - len(lines[-1])
    everything = [text for name in reversed(files) for text in logs(path.parent / name)]
    assert everything == [f"line {i}\n" for i in range(101 - len(everything), 101)]


def test_rotation_does_not_depend_on_chunks(path: Path) -> None:
    lines = [b"line %d\n" % i for i in range(1, 101)]
    results = []
    for chunks in ([b"".join(lines)], lines):
        log = driver(path, 1000, 4)
        for chunk in chunks:
            log.write(1, chunk, NOW)
        log.close(NOW)
        results.append({p.name: p.read_bytes() for p in path.parent.iterdir()})
        for file in path.parent.iterdir():
            file.unlink()
    assert results[0] == results[1]


def test_a_single_file_begins_anew(path: Path) -> None:
    log = driver(path, 280)
    log.write(1, b"old\n" * 4, NOW)
    old = path.open("rb")
    log.write(1, b"new\n", NOW)
    log.close(NOW)
    assert logs(path) == ["new\n"]
    assert old.read().count(b"old") == 4  # whoever follows the old file can read it to its end
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_compressed_rotation(path: Path) -> None:
    log = driver(path, 200, 3, compress=True)
    for i in range(12):
        log.write(1, b"line %d\n" % i, NOW + i)
    log.close(NOW)
    assert sorted(p.name for p in path.parent.iterdir()) == ["x-json.log", "x-json.log.1.gz", "x-json.log.2.gz"]
    data = (path.parent / "x-json.log.1.gz").read_bytes()
    assert data[:4] == b"\x1f\x8b\x08\x04" and b'{"lastTime":"2026-11-24T03:55:16.6016146' in data[:64]
    parts = [gzip.open(path.parent / f"x-json.log.{i}.gz").read() for i in (2, 1)]
    found = [json.loads(line)["log"] for part in (*parts, path.read_bytes()) for line in part.splitlines()]
    assert found == [f"line {i}\n" for i in range(12 - len(found), 12)]


def test_truncation_by_a_shell(path: Path) -> None:
    log = driver(path)
    log.write(1, b"one\n", NOW)
    path.write_bytes(b"")
    log.write(1, b"two\n", NOW)
    log.close(NOW)
    assert logs(path) == ["two\n"]  # and no hole before it


@pytest.mark.parametrize("create", [True, False])
def test_logrotate_renames(path: Path, create: bool) -> None:
    log = driver(path)
    log.write(1, b"one\n", NOW)
    path.rename(path.with_suffix(".log.1"))
    if create:
        path.touch(0o640)
    log.write(1, b"two\n", NOW)
    log.close(NOW)
    assert logs(path) == ["two\n"]
    assert logs(path.with_suffix(".log.1")) == ["one\n"]


def test_a_link_is_never_followed(path: Path, tmp_path: Path) -> None:
    """CVE-2026-53489: neither at the start nor when the name is replaced later."""
    canary = tmp_path / "canary"
    canary.write_text("secret")
    log = driver(path)
    path.unlink()
    path.symlink_to(canary)
    log.write(1, b"one\n", NOW)
    path.unlink()
    log.write(1, b"two\n", NOW)
    log.close(NOW)
    assert canary.read_text() == "secret"
    assert logs(path)[-1] == "two\n"
    path.unlink()
    path.symlink_to(canary)
    with pytest.raises(StartFailure, match="failed to initialize logging driver: open .*: too many levels"):
        open_driver("json-file", str(path), {}, {})


def test_a_fifo_is_no_log(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(StartFailure, match="failed to initialize logging driver"):
        open_driver("json-file", str(path), {}, {})


class FullDisk:
    """os.writev and os.write that have room for so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write, self._writev = os.write, os.writev
        monkeypatch.setattr("scow.logs.drivers.jsonfile.os.write", self.write)
        monkeypatch.setattr("scow.logs.drivers.jsonfile.os.writev", self.writev)

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        return self.write(fd, b"".join(buffers))

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, bytes(data)[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("max_size", [0, 1 << 20])
@pytest.mark.parametrize("room", [0, 100, 150, 160])
def test_a_full_disk_leaves_a_marked_gap_and_no_half_record(
    path: Path, monkeypatch: pytest.MonkeyPatch, room: int, max_size: int
) -> None:
    log = driver(path, max_size)
    log.write(1, b"before\n", NOW)
    disk = FullDisk(monkeypatch, room)
    log.write(1, b"one\ntwo\nthree\n", NOW)
    log.write(1, b"four\n", NOW)
    disk.room = 1 << 20
    log.write(1, b"after\n", NOW)
    log.close(NOW)
    found = logs(path)  # every line is a record
    assert found[0] == "before\n" and found[-1] == "after\n"
    assert found[-2].startswith("[scow: ") and "No space left on device" in found[-2]
    assert len([text for text in found if "[scow" in text]) == 1


def test_a_gap_is_marked_at_the_end_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = driver(path)
    disk = FullDisk(monkeypatch, 0)
    log.write(1, b"one\n", NOW)
    disk.room = 1 << 20
    log.close(NOW)
    assert logs(path)[-1].startswith("[scow: ")


def test_a_vanished_directory_does_not_stop_the_output(path: Path) -> None:
    log = driver(path)
    path.unlink()
    path.parent.rmdir()
    log.write(1, b"one\n", NOW)
    path.parent.mkdir()
    log.write(1, b"two\n", NOW)
    log.close(NOW)
    assert logs(path)[-1] == "two\n"


def test_the_driver_none_makes_no_file(tmp_path: Path) -> None:
    log = open_driver("none", "", {"max-size": "1k"}, {})
    log.write(1, b"x", NOW)
    log.close(NOW)
    assert list(tmp_path.iterdir()) == []

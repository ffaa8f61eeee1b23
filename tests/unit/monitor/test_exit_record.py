"""Exit records: written whole or not at all, damaged ones are none."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.monitor import exit_record
from scow.monitor.exit_record import ExitRecord

RECORD = ExitRecord(137, 1795492516601614638, True, 4711, 1795492516000000000)


def test_round_trip_and_removal(tmp_path: Path) -> None:
    path = str(tmp_path / "exit.json")
    assert exit_record.read(path) is None
    exit_record.write(path, RECORD)
    exit_record.write(path, RECORD)
    assert exit_record.read(path) == RECORD
    assert os.listdir(tmp_path) == ["exit.json"]
    assert os.stat(path).st_mode & 0o777 == 0o600
    exit_record.remove(path)
    exit_record.remove(path)
    assert os.listdir(tmp_path) == []


def test_a_failed_write_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "exit.json")
    exit_record.write(path, RECORD)
    monkeypatch.setattr("scow.monitor.exit_record.os.write", lambda fd, data: len(data) // 2)
    with pytest.raises(OSError):
        exit_record.write(path, ExitRecord(0, 1))
    assert exit_record.read(path) == RECORD


def test_the_order_is_file_then_name_then_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    rename, fsync = os.rename, os.fsync

    def traced_fsync(fd: int) -> None:
        steps.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    def traced_rename(source: str, target: str, **how: int) -> None:
        steps.append(f"rename {target}")
        rename(source, target, **how)  # type: ignore[arg-type]

    monkeypatch.setattr("scow.monitor.exit_record.os.fsync", traced_fsync)
    monkeypatch.setattr("scow.monitor.exit_record.os.rename", traced_rename)
    exit_record.write(str(tmp_path / "exit.json"), RECORD)
    assert steps == ["fsync .exit.json.tmp", "rename exit.json", f"fsync {tmp_path.name}"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "canary").write_bytes(exit_record.encode(RECORD))
    (tmp_path / "exit.json").symlink_to(tmp_path / "canary")
    (tmp_path / ".exit.json.tmp").symlink_to(tmp_path / "canary")
    assert exit_record.read(str(tmp_path / "exit.json")) is None
    with pytest.raises(OSError):
        exit_record.write(str(tmp_path / "exit.json"), ExitRecord(1, 1))
    assert (tmp_path / "canary").read_bytes() == exit_record.encode(RECORD)


@pytest.mark.parametrize(
    "change", [(b"137", b"256"), (b"137", b"-1"), (b"137", b'"1"'), (b"true", b"1"), (b"code", b"kode")]
)
def test_wrong_values_are_no_record(change: tuple[bytes, bytes]) -> None:
    assert exit_record.decode(exit_record.encode(RECORD)) == RECORD
    assert exit_record.decode(exit_record.encode(RECORD).replace(*change)) is None


@given(st.binary(max_size=120) | st.integers(0, 100).map(lambda cut: exit_record.encode(RECORD)[:cut]))
def test_any_bytes_are_a_record_or_none(data: bytes) -> None:
    exit_record.decode(data)
    exit_record.decode(data * 3000)

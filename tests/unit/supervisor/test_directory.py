"""Task directories: made whole or not at all, locked as long as somebody lives."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scow.errors import DataLoss, Internal
from scow.model.task import LogTarget, TaskSpec
from scow.monitor import bundle
from scow.supervisor import directory as directories
from scow.supervisor.directory import TaskDirectory, bundle_of
from tests.harness import descriptors


def spec(tmp_path: Path, **changes: Any) -> TaskSpec:
    fields: dict[str, Any] = {
        "id": "c" * 64,
        "spec": {"process": {"args": ["x"]}, "linux": {"cgroupsPath": "/scow/c"}},
        "rootfs": ({"type": "bind", "source": "/x", "options": ["ro"]},),
        "log": LogTarget("json-file", "/log", {"max-size": "1k"}, {"a": "ü"}),
        "exit_path": str(tmp_path / "exit.json"),
        "console_size": (10, 20),
        **changes,
    }
    return TaskSpec(**fields)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    given = spec(tmp_path, terminal=True, open_stdin=True)
    (tmp_path / "exit.json").write_text("old")
    made = TaskDirectory.create(str(tmp_path), given, {bundle.CONFIG: b'{"a":1}', "empty": b""})
    assert made.read() == bundle_of(given)
    assert bundle.read_spec(made.fd) == {"a": 1}
    assert sorted(os.listdir(made.path)) == ["config.json", "lock", "task.json"]
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o700
    assert not (tmp_path / "exit.json").exists() and not made.started()
    assert directories.exit_path(made.path) == given.exit_path
    made.close()
    directories.remove(made.path)
    directories.remove(made.path)


def test_a_left_directory_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        made = TaskDirectory.create(str(tmp_path), spec(tmp_path), {})
        bundle.write(made.fd, "started", b'{"pid":1,"started_at":2}')
        assert made.started()
        made.close()


def test_the_lock_lives_with_its_holders(tmp_path: Path) -> None:
    made = TaskDirectory.create(str(tmp_path), spec(tmp_path), {})
    assert made.alive()
    code = "import sys; print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=[made.lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdin is not None
    holder.stdout.readline()
    made.release_lock()
    assert made.alive()
    holder.kill()
    holder.wait()
    assert not made.alive()
    holder.stdout.close()
    holder.stdin.close()
    made.close()


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors.opened()

    def fail(directory: int, name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "write", fail)
    with pytest.raises(Exception, match="No space left on device"):
        TaskDirectory.create(str(tmp_path), spec(tmp_path), {})
    with pytest.raises(Internal):
        TaskDirectory.create(str(tmp_path / "nosuch"), spec(tmp_path), {})
    assert list(tmp_path.iterdir()) == []
    descriptors.assert_no_new(before)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id":1}', '{"console_size":[1,2]}', '{"console_size":7}'])
def test_damaged_tasks_are_data_loss(tmp_path: Path, text: str) -> None:
    (tmp_path / "task.json").write_text(text)
    found = TaskDirectory.open_existing(str(tmp_path))
    with pytest.raises(DataLoss):
        found.read()
    assert directories.exit_path(str(tmp_path)) is None
    assert not found.alive()
    with pytest.raises(OSError):
        found.connect()
    found.close()

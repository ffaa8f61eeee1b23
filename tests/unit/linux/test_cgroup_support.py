"""What the kernel's cgroups can limit, by the files that are there."""

from pathlib import Path

import pytest

from scow.linux.cgroup_support import Support, accounts_swap, support


def make(root: Path, *files: str) -> str:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(root)


def test_version_1(tmp_path: Path) -> None:
    root = make(tmp_path, "memory/memory.limit_in_bytes", "memory/memory.oom_control", "cpu/cpu.shares", "pids/tasks")
    assert support(root) == Support(1, True, False, True, True, False, False, True)
    make(tmp_path, "memory/memory.memsw.limit_in_bytes", "cpu/cpu.cfs_quota_us", "cpuset/cpuset.cpus")
    assert support(root) == Support(1, True, True, True, True, True, True, True)


def test_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert support(str(tmp_path)) == Support(2, True, True, False, True, True, False, True)
    (tmp_path / "cgroup.controllers").write_text("cpuset\n")
    assert support(str(tmp_path)) == Support(2, False, True, False, False, False, True, False)


@pytest.mark.parametrize(
    ("files", "there"), [((), True), (("memory.max",), False), (("memory.max", "memory.swap.max"), True)]
)
def test_swap_of_version_2_is_seen_in_a_group_with_the_controller(
    tmp_path: Path, files: tuple[str, ...], there: bool
) -> None:
    root = make(tmp_path, "cgroup.controllers", "without/cgroup.procs", *(f"with/{name}" for name in files))
    assert accounts_swap(root) is there

"""Where one more process of a container goes on cgroup version 2."""

import pytest

from scow.linux import cgroup_files
from scow.linux.cgroup_v2 import CgroupV2


@pytest.mark.parametrize(
    ("divided", "first", "place"),
    [
        ("", "0::/scow/c", "scow/c"),
        ("", "0::/scow/c/init", "scow/c"),  # nothing is in the way
        ("memory pids", "0::/scow/c/init", "scow/c/init"),
        ("memory pids", "1:name=systemd:/\n0::/scow/c/init/deep", "scow/c/init/deep"),
        ("memory pids", "0::/", "scow/c"),  # it is not below: whoever could move it there may say why
        ("memory pids", "0::/scow/cc/init", "scow/c"),
        ("memory pids", "0::/scow/c/../other", "scow/c"),
        ("memory pids", "", "scow/c"),
    ],
)
def test_beside_the_first_process(monkeypatch: pytest.MonkeyPatch, divided: str, first: str, place: str) -> None:
    files = {("/sys/fs/cgroup/scow/c", "cgroup.subtree_control"): divided, ("/proc/7", "cgroup"): first}
    monkeypatch.setattr(cgroup_files, "read", lambda directory, name: files.get((directory, name), ""))
    assert CgroupV2("scow/c").beside(7).path == place

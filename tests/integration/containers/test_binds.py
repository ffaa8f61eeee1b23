"""Bind mounts keep what the host has forbidden."""

import subprocess
from pathlib import Path

from tests.harness.clients import Clients


def test_what_is_read_only_on_the_host_is_so_in_a_container(clean: Clients, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    subprocess.run(["mount", "--bind", source, source], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", source], check=True)
        clean.launch("c1", Cmd=["touch", "/m/x"], HostConfig={"Binds": [f"{source}:/m:rw"]})
        assert clean.wait("c1") == 1
    finally:
        subprocess.run(["umount", source], check=True)
    assert list(source.iterdir()) == []

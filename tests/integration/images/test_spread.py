"""The directory of layers asks ext4 to keep them apart; other file systems are left alone."""

import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scow.images.trees import Trash, Trees
from scow.linux import inode_flags, libc
from tests.harness.engine import Engine


def test_layers_are_kept_apart() -> None:
    with tempfile.TemporaryDirectory(prefix="scowt-", dir="/var/tmp") as folder, ThreadPoolExecutor(1) as executor:
        before = os.open(folder, os.O_RDONLY)
        try:
            inode_flags.flags_of(before)
        except OSError:
            pytest.skip("a file system without inode flags")
        finally:
            os.close(before)
        trees = Trees(f"{folder}/layers", Trash(f"{folder}/trash", executor))
        for _ in range(2):  # again at the next start
            fd = os.open(trees.root, os.O_RDONLY)
            flags = inode_flags.flags_of(fd)
            os.close(fd)
            trees = Trees(f"{folder}/layers", Trash(f"{folder}/trash", executor))
        kind = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout
        assert flags & inode_flags.TOP_OF_HIERARCHY or kind.strip() != "ext2/ext3"  # so it calls ext4, too
        assert os.path.isdir(trees.path(trees.create()))


def test_so_are_containers(scratch: Engine) -> None:
    root = scratch.data_root
    kind = subprocess.run(["stat", "-f", "-c", "%T", root], capture_output=True, text=True, check=True).stdout
    if kind.strip() != "ext2/ext3":
        pytest.skip(f"a data root on {kind.strip()}, not on ext4")
    for name in ("containers", "rw", "layers"):
        fd = os.open(f"{root}/{name}", os.O_RDONLY)
        try:
            assert inode_flags.flags_of(fd) & inode_flags.TOP_OF_HIERARCHY, name
        finally:
            os.close(fd)


def test_a_file_system_without_the_flag(tmp_path: Path) -> None:
    libc.mount("tmpfs", str(tmp_path), "tmpfs", 0, b"size=1m")
    try:
        inode_flags.spread(str(tmp_path))
    finally:
        libc.umount2(str(tmp_path))
    inode_flags.spread("/proc")

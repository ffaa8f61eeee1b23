"""Trees through archives, against GNU tar: what it packs, in every format, is unpacked as it does it itself; holes are made
again, whether the archive has them as such or as zeros.

SCOW_DIFFER_EXAMPLES sets the number of trees (default 25).
"""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scow.images.differ import write_upper
from scow.images.layer import unpack_into
from tests.integration.images.test_differ import EXAMPLES, Tree
from tests.integration.images.test_unpack import listing
from tests.unit.images.craft import source

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
_TAR = ("tar", "--numeric-owner")
_ATTRIBUTES = ("--xattrs", "--xattrs-include=*")  # of the posix format only


def unpacked(target: Path, data: bytes, chunk: int) -> None:
    target.mkdir(mode=0o755)
    unpack_into(str(target), source(data, chunk))


def blocks(root: Path) -> dict[str, int]:
    """What each file takes on the disk, in units of 512 bytes."""
    return {str(path.relative_to(root)): path.lstat().st_blocks for path in root.rglob("*") if path.is_file()}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(0, 40),
    form=st.sampled_from(["posix", "gnu"]),
    sparse=st.sampled_from([(), ("--sparse", "--sparse-version=1.0"), ("--sparse", "--sparse-version=0.1")]),
    chunk=st.sampled_from([4096, 70_001, 1 << 20]),
)
def test_what_gnu_tar_packs(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int, form: str, sparse: tuple[str, ...], chunk: int
) -> None:
    base = tmp_path_factory.mktemp("g")
    tree = base / "tree"
    tree.mkdir(mode=0o755)
    grown = Tree(tree, random.Random(seed))
    for _ in range(steps):
        grown.step()
    tar = _TAR if form == "gnu" else (*_TAR, *_ATTRIBUTES)
    if form == "gnu":
        sparse = sparse[:1]
    packing = [*tar, f"--format={form}", *sparse, "-cf", str(base / "a.tar"), "-C", str(tree), "."]
    subprocess.run(packing, check=True)
    theirs = base / "theirs"
    theirs.mkdir(mode=0o755)
    subprocess.run([*tar, "-xpf", str(base / "a.tar"), "-C", str(theirs)], check=True, stderr=subprocess.DEVNULL)
    ours = base / "ours"
    unpacked(ours, (base / "a.tar").read_bytes(), chunk)
    assert listing(ours) == listing(theirs)
    if sparse:
        here, there = blocks(ours), blocks(theirs)
        assert all(here[name] <= there[name] for name in there)
    shutil.rmtree(base)


@pytest.mark.parametrize("chunk", [1000, 4096, 70_001, 1 << 20])
@pytest.mark.parametrize("dense", [True, False], ids=["zeros", "holes"])
def test_holes_are_made_again(tmp_path: Path, chunk: int, dense: bool) -> None:
    """Islands in a sea of holes, packed by our own writer (which writes zeros) or by GNU tar with its maps."""
    tree = tmp_path / "tree"
    tree.mkdir()
    with open(tree / "sea", "wb") as stream:
        for offset in (0, 5 << 20, (9 << 20) + 17):
            stream.seek(offset)
            stream.write(os.urandom(3000))
        stream.truncate(20 << 20)
    with open(tree / "nothing", "wb") as stream:
        stream.truncate(8 << 20)
    (tree / "dense").write_bytes(os.urandom(1 << 20))
    (tree / "small").write_bytes(bytes(4096))
    parts: list[bytes] = []
    if dense:
        write_upper(str(tree), parts.append)
    else:
        packed = subprocess.run(["tar", "--sparse", "-C", tree, "-cf", "-", "."], check=True, capture_output=True)
        parts.append(packed.stdout)
    unpacked(tmp_path / "ours", b"".join(parts), chunk)
    for name in ("sea", "nothing", "dense", "small"):
        assert (tmp_path / "ours" / name).read_bytes() == (tree / name).read_bytes(), name
    here = blocks(tmp_path / "ours")
    if chunk >= 70_001 or not dense:  # what comes in pieces smaller than a hole is written as it comes
        assert here["sea"] * 512 < 2 << 20 and here["nothing"] * 512 < 1 << 20
    assert here["dense"] * 512 >= 1 << 20 and here["small"] * 512 >= 4096

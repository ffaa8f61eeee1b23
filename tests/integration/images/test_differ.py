"""The differ and the applier against the kernel: a tree is changed in an overlay mount, the writable directory becomes a
layer, the layer is unpacked, and the kernel shows the two layers as the tree that was. The same by comparison.
"""

import errno
import io
import os
import random
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scow.images import differ
from scow.images.differ import write_difference, write_upper, write_whole
from scow.images.layer import unpack_into
from scow.images.native import merge
from tests.integration.images.test_unpack import listing
from tests.unit.images.craft import source

NAMES = ["a", "b", "dir", "etc", "x" * 120, "ü", os.fsdecode(b"\xff\xfe"), ".wh-not", "new\nline"]
OWNERS = [0, 1, 1000, 65534, 2**31 + 7, 2**32 - 3]
MODES = [0o644, 0o600, 0o4755, 0o2711, 0o1777, 0o7777, 0]
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
EXAMPLES = int(os.environ.get("SCOW_DIFFER_EXAMPLES", "25"))


@pytest.fixture(scope="module", autouse=True)
def overlay_works() -> None:
    if not (os.geteuid() == 0 and Path("/proc/filesystems").read_text().find("overlay") >= 0):
        pytest.skip("needs root and overlayfs")


class Tree:
    """Random steps in one directory, by a seeded source of choices."""

    def __init__(self, root: Path, choices: random.Random) -> None:
        self.root, self.choices = root, choices

    def paths(self, wanted: Callable[[Path], bool]) -> list[Path]:
        return [path for path in sorted(self.root.rglob("*")) if wanted(path)]

    def directories(self) -> list[Path]:
        return [self.root, *self.paths(lambda path: path.is_dir() and not path.is_symlink())]

    def place(self) -> Path:
        return self.choices.choice(self.directories()) / self.choices.choice(NAMES)

    def step(self) -> None:
        steps = [self.make, self.make, self.make, self.remove, self.attributes, self.rename, self.link, self.write]
        self.choices.choice(steps)()

    def make(self) -> None:
        path, kind = self.place(), self.choices.randrange(7)
        if len(path.relative_to(self.root).parts) > 6 or os.path.lexists(path):
            return
        if kind < 2:
            path.mkdir()
        elif kind < 4:
            self.fill(path)
        elif kind == 4:
            path.symlink_to(self.choices.choice(["a", "/etc/passwd", "../../..", "x/" * 120]))
        elif kind == 5:
            os.mkfifo(path)
        else:
            os.mknod(path, self.choices.choice([stat.S_IFCHR, stat.S_IFBLK]) | 0o600, os.makedev(7, 3))
        self.dress(path)

    def fill(self, path: Path) -> None:
        with open(path, "wb") as stream:
            if self.choices.random() < 0.2:
                stream.seek(self.choices.choice([1 << 16, 3 << 20]))
            stream.write(self.choices.randbytes(self.choices.choice([0, 1, 511, 512, 70_000])))
            if self.choices.random() < 0.1:
                stream.truncate(5 << 20)

    def write(self) -> None:
        files = self.paths(lambda path: stat.S_ISREG(path.lstat().st_mode))
        if files:
            path = self.choices.choice(files)
            self.fill(path)
            self.dress(path)

    def remove(self) -> None:
        found = self.paths(lambda path: True)
        if not found:
            return
        path = self.choices.choice(found)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            if self.choices.random() < 0.5:
                path.mkdir()  # what the kernel marks as opaque
                self.dress(path)
        else:
            path.unlink()

    def attributes(self) -> None:
        found = self.paths(lambda path: True)
        if found:
            self.dress(self.choices.choice(found))

    def dress(self, path: Path) -> None:
        if self.choices.random() < 0.5:
            os.chown(path, self.choices.choice(OWNERS), self.choices.choice(OWNERS), follow_symlinks=False)
        if not path.is_symlink():
            if self.choices.random() < 0.5:
                os.chmod(path, self.choices.choice(MODES) | (0o700 if path.is_dir() else 0))
            if path.is_file() and self.choices.random() < 0.2:
                os.setxattr(path, "security.capability", CAPABILITY)
            if (path.is_file() or path.is_dir()) and self.choices.random() < 0.2:
                os.setxattr(path, "user.note", self.choices.randbytes(9))
            elif not stat.S_ISFIFO(path.lstat().st_mode) and "user.note" in os.listxattr(path):
                os.removexattr(path, "user.note")
        moment = self.choices.choice([0, 1, 10**18, 10**18 + 123_456_789, 5_000_000_000 * 10**9, -(10**9) * 5 + 7])
        os.utime(path, ns=(10**18, moment), follow_symlinks=False)

    def rename(self) -> None:
        found, target = self.paths(lambda path: True), self.place()
        if not found or os.path.lexists(target):
            return
        path = self.choices.choice(found)
        if path in target.parents:
            return
        try:
            os.rename(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:  # overlayfs does not rename a directory that lies below
                raise

    def link(self) -> None:
        files, target = self.paths(lambda path: not path.is_dir() or path.is_symlink()), self.place()
        if files and not os.path.lexists(target):
            os.link(self.choices.choice(files), target, follow_symlinks=False)


def overlay(target: Path, lowers: list[Path], upper: Path | None = None, work: Path | None = None) -> None:
    options = f"lowerdir={':'.join(map(str, lowers))},redirect_dir=off,metacopy=off"
    if upper is not None:
        options += f",upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(target)], check=True)


def layer_of(write: Callable[[Callable[[bytes], object]], None], target: Path) -> bytes:
    parts: list[bytes] = []
    write(parts.append)
    data = b"".join(parts)
    target.mkdir()
    unpack_into(str(target), source(data))
    return data


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), before=st.integers(0, 25), after=st.integers(0, 25))
def test_a_layer_says_what_the_kernel_shows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, before: int, after: int
) -> None:
    base = tmp_path_factory.mktemp("o")
    lower, upper, work, merged, again = (base / name for name in ("lower", "upper", "work", "merged", "again"))
    for directory in (lower, upper, work, merged, again):
        directory.mkdir(mode=0o755)
    choices = random.Random(seed)
    first = Tree(lower, choices)
    for _ in range(before):
        first.step()
    overlay(merged, [lower], upper, work)
    try:
        second = Tree(merged, choices)
        for _ in range(after):
            second.step()
        wanted = listing(merged)
    finally:
        subprocess.run(["umount", str(merged)], check=True)
    packed = layer_of(lambda emit: write_upper(str(upper), emit), base / "layer")
    overlay(again, [base / "layer", lower])
    try:
        assert listing(again) == wanted
    finally:
        subprocess.run(["umount", str(again)], check=True)
    # archived again, it is the same layer
    assert layer_of(lambda emit: write_upper(str(base / "layer"), emit), base / "twice") == packed
    # the merged view, without a mount
    layer_of(lambda emit: write_whole([str(upper), str(lower)], emit), base / "whole")
    assert listing(base / "whole") == wanted
    # by comparison of copies
    (base / "copy").mkdir()
    merge([str(lower), str(upper)], str(base / "copy"))
    assert listing(base / "copy") == wanted
    layer_of(lambda emit: write_difference(str(base / "copy"), [str(lower)], emit), base / "compared")
    (base / "applied").mkdir()
    merge([str(lower), str(base / "compared")], str(base / "applied"))
    assert without_links(listing(base / "applied")) == without_links(wanted)
    shutil.rmtree(base)


def without_links(found: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """A comparison cannot see that a file has got another name: that name becomes a file of its own."""
    return {name: (*entry[:8], *entry[9:]) for name, entry in found.items()}


@pytest.mark.parametrize("write", [write_upper, write_difference], ids=["upper", "comparison"])
def test_what_vanishes_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., None]
) -> None:
    """The container goes on: between a directory's listing and the look at what is in it."""
    lower, tree = tmp_path / "lower", tmp_path / "tree"
    lower.mkdir()
    (lower / "file").write_text("x")
    (lower / "link").symlink_to("file")
    (lower / "directory").mkdir()
    with open(lower / "sparse", "wb") as stream:  # without blocks, as a file whose content is still below
        stream.truncate(1 << 20)
    shutil.copytree(lower, tree, symlinks=True)
    (tree / "stays").write_text("x")
    for name in ("file", "link", "sparse"):
        times = os.lstat(lower / name)
        os.utime(tree / name, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
    real = differ._listing

    def late(directory: int) -> list[tuple[bytes, os.stat_result]]:
        found = real(directory)
        for name, _ in found:
            if name == b"directory":
                os.rmdir(name, dir_fd=directory)
            elif name != b"stays":
                os.unlink(name, dir_fd=directory)
        return found

    monkeypatch.setattr(differ, "_listing", late)
    chunks: list[bytes] = []
    if write is write_upper:
        write_upper(str(tree), chunks.append, lowers=[str(lower)])
    else:
        write_difference(str(tree), [str(lower)], chunks.append)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        assert archive.getnames() == ["stays"]

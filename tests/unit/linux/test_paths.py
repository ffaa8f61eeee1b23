"""The rooted resolver: nothing that a tree contains leads out of it."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scow.linux import libc, paths


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[int, Path, Path]]:
    """(root fd, root, a canary directory outside)."""
    root, canary = tmp_path / "root", tmp_path / "canary"
    root.mkdir()
    canary.mkdir()
    (canary / "secret").write_text("token")
    fd = paths.open_root(str(root))
    yield fd, root, canary
    os.close(fd)


def names(canary: Path) -> list[str]:
    return sorted(os.listdir(canary))


@pytest.mark.parametrize("link", ["{canary}", "../canary", "../../../../../../{canary}", "/proc/self/cwd/../canary"])
def test_links_stay_inside(tree: tuple[int, Path, Path], link: str) -> None:
    root_fd, root, canary = tree
    (root / "out").symlink_to(link.format(canary=canary))
    with pytest.raises(OSError):
        paths.open_in_root(root_fd, "/out/secret", os.O_RDONLY)


def test_absolute_links_resolve_below_the_root(tree: tuple[int, Path, Path]) -> None:
    root_fd, root, _ = tree
    (root / "etc").mkdir()
    (root / "etc/name").write_text("inside")
    (root / "link").symlink_to("/etc/name")
    assert paths.read_bounded(root_fd, "/link", 100) == b"inside"


def test_magic_links_are_refused() -> None:
    root = paths.open_root("/")
    try:
        with pytest.raises(OSError) as raised:
            paths.open_in_root(root, "/proc/self/root/etc", libc.O_PATH)
        assert raised.value.errno == errno.ELOOP
    finally:
        os.close(root)


def test_make_dirs_follows_links_inside_only(tree: tuple[int, Path, Path]) -> None:
    """CVE-2024-45310, CVE-2026-55686: parents are made through links, never outside."""
    root_fd, root, canary = tree
    (root / "real").mkdir()
    (root / "in").symlink_to("/real")
    (root / "out").symlink_to(canary)
    (root / "up").symlink_to("../../../../../..")
    for path in ("/in/a/b", "/up/c", "d/e", "/x/../y"):
        try:
            os.close(paths.make_dirs_in_root(root_fd, path))
        except FileNotFoundError:
            assert path == "/x/../y" or ".." in path
    assert (root / "real/a/b").is_dir() and (root / "c").is_dir() and (root / "d/e").is_dir()
    with pytest.raises(FileNotFoundError):
        paths.make_dirs_in_root(root_fd, "/out/new")
    assert names(canary) == ["secret"]


def test_make_dirs_sets_the_owner_of_new_ones_only(tree: tuple[int, Path, Path]) -> None:
    root_fd, root, _ = tree
    (root / "old").mkdir(mode=0o711)
    os.close(paths.make_dirs_in_root(root_fd, "/old/new", 0o750, os.getuid(), os.getgid()))
    assert (root / "old").stat().st_mode & 0o777 == 0o711
    assert (root / "old/new").stat().st_mode & 0o777 == 0o750


def test_a_file_in_the_way_is_enotdir(tree: tuple[int, Path, Path]) -> None:
    root_fd, root, _ = tree
    (root / "file").write_text("")
    for make in (paths.make_dirs_in_root, paths.make_file_in_root):
        with pytest.raises(NotADirectoryError):
            make(root_fd, "/file/below")


def test_make_file_never_writes_through_a_link(tree: tuple[int, Path, Path]) -> None:
    """CVE-2025-24965, CVE-2024-5154: a file that is made where a link lies."""
    root_fd, root, canary = tree
    (root / "dangling").symlink_to(canary / "new")
    with pytest.raises(FileNotFoundError):
        paths.make_file_in_root(root_fd, "/dangling")
    assert names(canary) == ["secret"]
    os.close(paths.make_file_in_root(root_fd, "/deep/er/file"))
    assert (root / "deep/er/file").read_bytes() == b""


@pytest.mark.parametrize("make", [os.mkfifo, lambda p: os.mkdir(p), lambda p: os.symlink("/proc/self/mem", p)])
def test_read_bounded_takes_regular_files_only(tree: tuple[int, Path, Path], make: Callable[[str], None]) -> None:
    """CVE-2026-47262: a FIFO does not block, a directory or a link to procfs is refused."""
    root_fd, root, _ = tree
    make(str(root / "odd"))
    with pytest.raises(OSError):
        paths.read_bounded(root_fd, "/odd", 100)


def test_read_bounded_has_a_limit(tree: tuple[int, Path, Path]) -> None:
    root_fd, root, _ = tree
    with open(root / "big", "wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(OSError) as raised:
        paths.read_bounded(root_fd, "/big", 1 << 20)
    assert raised.value.errno == errno.EFBIG


def test_a_nul_byte_is_refused(tree: tuple[int, Path, Path]) -> None:
    with pytest.raises(OSError):
        paths.open_in_root(tree[0], "etc\0/passwd", libc.O_PATH)


_PARTS = st.lists(st.sampled_from(["..", ".", "", "a", "b", "link", "loop", "out", "é"]), max_size=8)


@settings(max_examples=200, deadline=None)
@given(_PARTS)
def test_any_path_ends_below_the_root(parts: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "root"
        (root / "a").mkdir(parents=True)
        (root / "link").symlink_to("/a")
        (root / "loop").symlink_to("loop")
        (root / "out").symlink_to("../../..")
        fd = paths.open_root(str(root))
        try:
            try:
                made = paths.make_dirs_in_root(fd, "/".join(parts))
            except OSError:
                pass
            else:
                where = os.readlink(f"/proc/self/fd/{made}")
                os.close(made)
                assert where == str(root) or where.startswith(f"{root}/")
        finally:
            os.close(fd)
        assert os.listdir(directory) == ["root"]


@given(st.text(alphabet="/.ab", max_size=20))
def test_components_are_clean(path: str) -> None:
    names = paths.components(path)
    assert not set(names) & {b"", b".", b".."}
    assert b"/" + b"/".join(names) == os.path.normpath("/" + path.lstrip("/")).encode()

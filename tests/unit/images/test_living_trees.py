"""cp's two halves on a directory of this machine: what goes out, what comes in, and what never leaves the root."""

import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import ScowError
from scow.images.archive.limits import InvalidArchive
from scow.images.archive.reader import TarReader
from scow.images.tree_in import CannotPlace, Placer, Rules
from scow.images.tree_out import write_tree

FILE, LINK, HARD, DIRECTORY, FIFO = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE
Member = tuple[str, bytes, str, bytes]
HERE = Rules(chown=False)


def archive(*members: Member, mode: int = 0o640) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        for name, kind, target, content in members:
            item = tarfile.TarInfo(name)
            item.type, item.linkname, item.size, item.mode, item.mtime = kind, target, len(content), mode, 1000
            made.addfile(item, io.BytesIO(content))
    return stream.getvalue()


def pieces(data: bytes) -> Callable[[], bytes]:
    stream = io.BytesIO(data)
    return lambda: stream.read(700)


def place(root: Path, data: bytes, base: bytes = b"", rules: Rules = HERE, **more: Callable[[bytes], bytes]) -> None:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        Placer(fd, base, rules).apply(TarReader(pieces(data)), **more)
    finally:
        os.close(fd)


def take(
    directory: Path, name: bytes = b".", shown: bytes = b".", hidden: Callable[[int], bool] = lambda _: False
) -> tarfile.TarFile:
    out: list[bytes] = []
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        write_tree(fd, name, shown, out.append, hidden)
    finally:
        os.close(fd)
    return tarfile.open(fileobj=io.BytesIO(b"".join(out)))


@contextmanager
def descriptors_kept() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


def test_there_and_back(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "d/sub").mkdir(parents=True)
    target.mkdir()
    (source / "d/file").write_bytes(b"x" * 70000)
    os.link(source / "d/file", source / "d/hard")
    os.symlink("/etc", source / "d/link")
    os.mkfifo(source / "d/fifo")
    os.chmod(source / "d/file", 0o4751)
    os.chmod(source / "d/sub", 0o1770)
    os.utime(source / "d/sub", ns=(5, 1_500_000_000_000_000_001))
    out: list[bytes] = []
    with descriptors_kept():
        fd = os.open(source, os.O_RDONLY)
        write_tree(fd, b"d", b"e", out.append, lambda _: False)
        os.close(fd)
        place(target, b"".join(out))
    made = target / "e"
    assert (made / "file").read_bytes() == b"x" * 70000 and os.path.samefile(made / "file", made / "hard")
    assert stat.S_IMODE((made / "file").stat().st_mode) == 0o4751
    assert os.readlink(made / "link") == "/etc" and stat.S_ISFIFO((made / "fifo").stat().st_mode)
    assert stat.S_IMODE((made / "sub").stat().st_mode) == 0o1770
    assert (made / "sub").stat().st_mtime_ns == 1_500_000_000_000_000_001


def test_names_of_what_goes_out(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("1")
    assert take(tmp_path, b"d", b"d").getnames() == ["d", "d/f"]
    assert take(tmp_path / "d").getnames() == [".", "./f"]
    assert [item.name.strip("/") for item in take(tmp_path / "d", b".", b"/")] == ["", "f"]
    assert take(tmp_path / "d", b"f", b"g").getnames() == ["g"]
    assert take(tmp_path, b"d", b"d", lambda _: True).getnames() == ["d"]


def test_what_stands_there_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.write_text("mine")
    os.symlink(outside, root / "a")
    os.link(outside, root / "b")
    os.mkfifo(root / "c")
    (root / "d").mkdir()
    (root / "d/deep").mkdir()
    (root / "d/deep/f").write_text("old")
    place(root, archive(*((name, FILE, "", b"new") for name in "abcd")))
    assert outside.read_text() == "mine"
    assert all((root / name).read_text() == "new" and not (root / name).is_symlink() for name in "abcd")


def test_kinds_are_kept_when_asked(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("x")
    rules = Rules(keep_kinds=True, chown=False)
    with pytest.raises(CannotPlace, match='cannot overwrite directory "/d" with non-directory "/"'):
        place(tmp_path, archive(("d", FILE, "", b"x")), rules=rules)
    with pytest.raises(CannotPlace, match='cannot overwrite non-directory "/f" with directory "/"'):
        place(tmp_path, archive(("f", DIRECTORY, "", b"")), rules=rules)
    place(tmp_path, archive(("d", DIRECTORY, "", b""), ("f", FILE, "", b"y")), rules=rules)
    assert (tmp_path / "f").read_text() == "y"


def test_links_of_the_tree_stay_in_the_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "inner/etc").mkdir(parents=True)
    outside.mkdir()
    os.symlink(outside, root / "absolute")
    os.symlink("../../../../../../../../" + str(outside), root / "climbing")
    os.symlink("/inner/etc", root / "good")
    place(root, archive(("good/f", FILE, "", b"x")))
    assert (root / "inner/etc/f").read_text() == "x"
    for name in ("absolute", "climbing"):
        with pytest.raises(ScowError):
            place(root, archive((f"{name}/f", FILE, "", b"x")))
    assert not list(outside.iterdir())
    with pytest.raises(CannotPlace):
        place(root, archive(("good/g", FILE, "", b"x")), rules=Rules(chown=False, links=False))


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(
    "members",
    [
        [("../x", FILE, "", b"1")], [("a/../../x", FILE, "", b"1")],
        [("s", LINK, "../outside", b""), ("s/x", FILE, "", b"1")],
        [("s", LINK, "../../outside", b"")],
        [("d", DIRECTORY, "", b""), ("d/s", LINK, "../../outside", b"")],
        [("h", HARD, "../outside/secret", b"")],
    ],
)  # fmt: skip
def test_what_leads_out_is_refused(tmp_path: Path, members: list[Member], links: bool) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("s")
    with descriptors_kept(), pytest.raises(ScowError):
        place(root, archive(*members), rules=Rules(chown=False, links=links))
    assert os.listdir(outside) == ["secret"] and (outside / "secret").stat().st_nlink == 1


def test_an_archive_cannot_write_through_its_own_links_on_the_clients_side(tmp_path: Path) -> None:
    """CVE-2019-10152, CVE-2019-18466: the container chooses what is in it, the client's machine is written to."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    data = archive(("s", LINK, str(outside), b""), ("s/x", FILE, "", b"1"))
    with pytest.raises(ScowError):
        place(root, data, rules=Rules(chown=False, links=False))
    assert not os.listdir(outside)


def test_hidden_places_take_nothing_in(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir(mode=0o700)
    inode = (tmp_path / "proc").stat().st_ino
    rules = Rules(chown=False, hidden=lambda fd: os.fstat(fd).st_ino == inode)
    place(tmp_path, archive(("proc", DIRECTORY, "", b"")), rules=rules)
    assert stat.S_IMODE((tmp_path / "proc").stat().st_mode) == 0o700
    with pytest.raises(CannotPlace, match="no place for files"):
        place(tmp_path, archive(("proc/x", FILE, "", b"1")), rules=rules)


def test_rename(tmp_path: Path) -> None:
    place(tmp_path, archive(("a/f", FILE, "", b"1"), ("a/h", HARD, "a/f", b"")), rename=lambda name: b"b" + name[1:])
    assert os.path.samefile(tmp_path / "b/f", tmp_path / "b/h")


def test_a_cut_archive_says_so(tmp_path: Path) -> None:
    with descriptors_kept(), pytest.raises(InvalidArchive):
        place(tmp_path, archive(("f", FILE, "", b"x" * 5000))[:1500])


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "out"]), min_size=1, max_size=4).map("/".join)
MEMBERS = st.lists(
    st.tuples(
        NAMES, st.sampled_from([FILE, LINK, HARD, DIRECTORY, FIFO]),
        st.one_of(NAMES, NAMES.map("/".__add__), st.just("../../../../../../tmp")), st.just(b""),
    ),
    max_size=8,
)  # fmt: skip


@given(MEMBERS, st.booleans(), st.booleans())
def test_no_archive_reaches_outside(members: list[Member], links: bool, keep: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root, outside = Path(directory) / "x/root", Path(directory) / "out"
        root.mkdir(parents=True)
        outside.mkdir()
        (outside / "kept").write_text("k")
        before = sorted(os.listdir(directory)), sorted(os.listdir(directory + "/x"))
        try:
            place(root, archive(*members), rules=Rules(keep_kinds=keep, chown=False, links=links))
        except ScowError:
            pass
        assert (sorted(os.listdir(directory)), sorted(os.listdir(directory + "/x"))) == before
        assert os.listdir(outside) == ["kept"] and (outside / "kept").stat().st_nlink == 1


@given(st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        try:
            place(Path(directory), data)
        except ScowError:
            pass

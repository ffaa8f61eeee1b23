"""The archive reader against GNU tar, Python's tarfile as a writer, and crafted bytes."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scow.errors import ScowError
from scow.images.archive import entry as kinds
from scow.images.archive.limits import ArchiveTooLarge, InvalidArchive, Limits
from scow.images.archive.reader import TarReader
from tests.unit.images.craft import (
    BLOCK,
    END,
    archive,
    directory,
    file,
    gnu_long,
    hardlink,
    header,
    padded,
    pax,
    source,
    symlink,
)


def read(data: bytes, chunk: int = 1 << 20, limits: Limits | None = None) -> list[tuple[bytes, str, bytes]]:
    """(name, kind, content) of every entry."""
    reader = TarReader(source(data, chunk), limits or Limits())
    return [(entry.name, entry.kind, b"".join(bytes(piece) for piece in reader.content())) for entry in reader]


def test_reads_the_usual() -> None:
    data = archive(directory(b"./a/"), file(b"a/b", b"x" * 1000), symlink(b"a/l", b"../z"), hardlink(b"h", b"a/b"))
    assert read(data) == [
        (b"a", kinds.DIRECTORY, b""),
        (b"a/b", kinds.FILE, b"x" * 1000),
        (b"a/l", kinds.SYMLINK, b""),
        (b"h", kinds.HARDLINK, b""),
    ]


@pytest.mark.parametrize("chunk", [1, 7, 511, 512, 513, 4096])
def test_chunks_do_not_matter(chunk: int) -> None:
    long = b"d" * 90 + b"/" + b"n" * 90
    data = archive(
        file(b"a", b"1" * 600), gnu_long(long), file(b"short", b"2"), pax({"path": b"p/q"}), file(b"x", b"3")
    )
    assert read(data, chunk) == [
        (b"a", kinds.FILE, b"1" * 600),
        (long, kinds.FILE, b"2"),
        (b"p/q", kinds.FILE, b"3"),
    ]


def test_an_archive_may_end_without_zero_blocks() -> None:
    assert read(file(b"a", b"1")) == [(b"a", kinds.FILE, b"1")]
    assert read(b"") == []


def test_values_of_extended_headers() -> None:
    records = {
        "uid": b"3000000000",
        "gid": b"4000000000",
        "mtime": b"1600000000.123456789",
        "SCHILY.xattr.user.a": b"b\0c",
    }
    (entry,) = TarReader(source(archive(pax(records), file(b"x"))))
    assert (entry.uid, entry.gid, entry.mtime) == (3000000000, 4000000000, 1600000000123456789)
    assert entry.xattrs == {"user.a": b"b\0c"}


def test_sparse_formats() -> None:
    old = bytearray(header(b"s", b"S", size=1024, magic=b"ustar  \0"))
    for index, (offset, length) in enumerate([(0, 512), (4096, 512)]):
        old[386 + 24 * index : 398 + 24 * index] = f"{offset:011o}\0".encode()
        old[398 + 24 * index : 410 + 24 * index] = f"{length:011o}\0".encode()
    old[483:495] = f"{8192:011o}\0".encode()
    old[148:156] = b" " * 8
    old[148:156] = f"{sum(old):06o}\0 ".encode()
    body = padded(b"2\n0\n512\n4096\n512\n") + b"a" * 512 + b"b" * 512
    new = pax(
        {
            "GNU.sparse.major": b"1",
            "GNU.sparse.minor": b"0",
            "GNU.sparse.name": b"s",
            "GNU.sparse.realsize": b"8192",
        }
    ) + file(b"GNUSparseFile.0/s", body)
    for data in (bytes(old) + b"a" * 512 + b"b" * 512, new):
        reader = TarReader(source(archive(data)))
        (entry,) = [(e.name, e.size, e.extents, b"".join(map(bytes, reader.content()))) for e in reader]
        assert entry == (b"s", 8192, [(0, 512), (4096, 512)], b"a" * 512 + b"b" * 512)


HOSTILE = {
    "dot-dot": file(b"../x"),
    "dot-dot inside": file(b"a/../../x"),
    "dot-dot hardlink": hardlink(b"x", b"../../etc/passwd"),
    "empty name": header(b""),
    "wrong checksum": header(b"x", checksum=1),
    "size is no number": header(b"x", size=b"12x45"),
    "size is negative": header(b"x", size=b"\xff" * 12),
    "size is enormous": header(b"x", size=b"\x80" + b"\xff" * 11),
    "octal with underscore": header(b"x", size=b"1_0"),
    "unknown type": header(b"x", b"Z"),
    "directory with content": file(b"d", b"x", b"5"),
    "symlink with content": file(b"l", b"x", b"2", target=b"y"),
    "file named as directory": file(b"d/", b"x"),
    "symlink without target": symlink(b"l", b""),
    "cut off in content": header(b"x", size=1000) + b"1" * 10,
    "cut off in header": header(b"x")[:100],
    "lone zero block": bytes(BLOCK) + file(b"x"),
    "global path": pax({"path": b"y"}, b"g") + file(b"x"),
    "two sizes": pax({"size": b"3"}) + file(b"x", b"12345"),
    "two long names": gnu_long(b"a") + pax({"path": b"b"}) + file(b"x"),
    "pax without length": file(b"p", b"path=x\n", b"x") + file(b"x"),
    "pax wrong length": file(b"p", b"99 path=x\n", b"x") + file(b"x"),
    "pax without newline": file(b"p", b"9 path=xy", b"x") + file(b"x"),
    "pax without key": file(b"p", b"5 =x\n", b"x") + file(b"x"),
    "pax zero length": file(b"p", b"0 a=b\n", b"x") + file(b"x"),
    "pax size no number": pax({"size": b"-1"}) + file(b"x"),
    "pax uid too large": pax({"uid": b"4294967295"}) + file(b"x"),
    "pax mtime no number": pax({"mtime": b"1e9"}) + file(b"x"),
    "nul in pax path": pax({"path": b"a\0b"}) + file(b"x"),
    "nothing after extended header": pax({"path": b"a"}),
    "sparse map beyond file": pax(
        {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"10"}
    )
    + file(b"s", padded(b"1\n0\n512\n") + b"a" * 512),
    "sparse map unordered": pax({"GNU.sparse.map": b"100,10,0,10", "GNU.sparse.size": b"200"}) + file(b"s", b"x" * 20),
    "device number": header(b"c", b"3", device=(0o777777, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_cve_2025_62518_refuses_what_can_be_read_in_two_ways(name: str) -> None:
    with pytest.raises((InvalidArchive, ArchiveTooLarge)):
        read(HOSTILE[name] + END)


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (archive(*[file(b"x")] * 20), Limits(entries=10)),
        (header(b"x", size=1000), Limits(bytes=999)),
        (pax({"comment": b"x" * 2000}) + file(b"x"), Limits(extended_header=1000)),
        (header(b"p", b"x", size=1 << 30), Limits()),
        (gnu_long(b"a/" * 3000) + file(b"x"), Limits()),
        (gnu_long(b"a/" * 400 + b"x") + file(b"x"), Limits()),
        (gnu_long(b"n" * 300) + file(b"x"), Limits()),
    ],
)
def test_cve_2025_58183_bounds(data: bytes, limits: Limits) -> None:
    with pytest.raises(ArchiveTooLarge):
        read(data, limits=limits)


def test_cve_2022_2879_sparse_maps_are_bounded() -> None:
    data = pax({"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"10"}) + file(
        b"s", padded(b"1000000\n" + b"0\n" * 4000)
    )
    with pytest.raises(ArchiveTooLarge):
        read(archive(data))


safe_name = st.lists(st.text(alphabet="abü .-_", min_size=1, max_size=60), min_size=1, max_size=4).map("/".join)


@given(
    st.lists(st.tuples(safe_name, st.sampled_from(["0", "5", "2"]), st.binary(max_size=1500)), max_size=6),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.integers(1, 2000),
)
@settings(max_examples=60, deadline=None)
def test_reads_what_tarfile_writes(members: list[tuple[str, str, bytes]], form: int, chunk: int) -> None:
    """The oracle is what was written: names cleaned of single dots and doubled slashes."""
    buffer = io.BytesIO()
    expected = []
    with tarfile.open(fileobj=buffer, mode="w", format=form) as writer:
        for name, flag, content in members:
            clean = "/".join(part for part in name.split("/") if part not in ("", "."))
            if ".." in clean.split("/") or not clean:
                continue
            info = tarfile.TarInfo(name)
            info.type = flag.encode()
            if flag == "0":
                info.size = len(content)
            if flag == "2":
                info.linkname = "t" * (len(content) + 1)
            writer.addfile(info, io.BytesIO(content))
            kind = {"0": kinds.FILE, "5": kinds.DIRECTORY, "2": kinds.SYMLINK}[flag]
            expected.append((clean.encode(), kind, content if flag == "0" else b""))
    assert read(buffer.getvalue(), chunk) == expected


@given(st.binary(max_size=3000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_or_are_refused(data: bytes) -> None:
    try:
        read(data, 600)
    except ScowError:
        pass


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_cve_2019_20907_damaged_archives_end_or_are_refused(data: st.DataObject) -> None:
    good = bytearray(
        archive(pax({"path": b"p/q", "mtime": b"1.5"}), file(b"x", b"1" * 700), directory(b"d"), hardlink(b"h", b"x"))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(good), 512)
    except ScowError:
        pass


@st.composite
def members(draw: st.DrawFn) -> bytes:
    """A member whose extended headers and block may say different things."""
    content = draw(st.sampled_from([b"", b"1", b"2" * 512, b"3" * 700, file(b"hidden", b"4")]))
    name = draw(st.sampled_from([b"a", b"b/c", b"d/", b"./e", b"f//g"]))
    parts = []
    if draw(st.booleans()):
        records = {}
        if draw(st.booleans()):
            records["path"] = draw(st.sampled_from([b"p", b"q/r", b"s" * 120]))
        if draw(st.booleans()):
            records["size"] = str(draw(st.sampled_from([len(content), 0, 512, 1024]))).encode()
        parts.append(pax(records, draw(st.sampled_from([b"x", b"x", b"x", b"g"]))))
    if draw(st.integers(0, 3)) == 0:
        parts.append(gnu_long(draw(st.sampled_from([b"long", b"n" * 130]))))
    size = draw(st.sampled_from([len(content), len(content), len(content), 0, 512]))
    flag = draw(st.sampled_from([b"0", b"0", b"0", b"\0", b"5", b"1", b"2"]))
    target = b"a" if flag in (b"1", b"2") else b""
    magic = draw(st.sampled_from([b"ustar\x0000", b"ustar  \0", bytes(8)]))
    parts.append(header(name, flag, size=size, target=target, magic=magic) + padded(content))
    if draw(st.integers(0, 9)) == 0:
        parts.append(bytes(BLOCK))
    return b"".join(parts)


@given(st.lists(members(), min_size=1, max_size=4))
@settings(max_examples=int(os.environ.get("SCOW_TAR_EXAMPLES", "150")), deadline=None)
def test_cve_2025_62518_what_gnu_tar_lists_or_a_refusal(parts: list[bytes]) -> None:
    """CVE-2025-62518: no archive is taken for another one than GNU tar takes it for."""
    data = archive(*parts)
    listed = subprocess.run(["tar", "--list", "--quoting-style=literal", "-f", "-"], input=data, capture_output=True)
    try:
        found = [name for name, _, _ in read(data, 600)]
    except ScowError:
        return
    names = [line for line in listed.stdout.split(b"\n") if line]
    cleaned = [b"/".join(part for part in name.split(b"/") if part not in (b"", b".")) for name in names]
    assert listed.returncode == 0, listed.stderr
    assert found == cleaned


@pytest.mark.parametrize("form", ["ustar", "gnu", "posix", "v7", "oldgnu"])
def test_lists_what_gnu_tar_lists(tmp_path: Path, form: str) -> None:
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "file").write_bytes(b"content")
    (tree / "deep" / "er" / "x").write_bytes(b"y" * 5000)
    os.link(tree / "file", tree / "deep" / "link")
    (tree / "deep" / "symbolic").symlink_to("../file")
    os.mkfifo(tree / "pipe")
    if form in ("gnu", "posix"):
        (tree / ("n" * 200)).write_bytes(b"long")
        with open(tree / "sparse", "wb") as stream:
            stream.truncate(1 << 20)
            stream.seek(500_000)
            stream.write(b"island")
    packed = tmp_path / "a.tar"
    sparse = ["--sparse"] if form in ("gnu", "posix") else []
    omitted = ["--exclude=pipe"] if form == "v7" else []
    subprocess.run(["tar", f"--format={form}", *sparse, *omitted, "-cf", packed, "-C", tree, "."], check=True)
    listed = subprocess.run(["tar", "-tf", packed], check=True, capture_output=True, text=True).stdout.split("\n")
    expected = sorted("/".join(part for part in name.split("/") if part not in ("", ".")) for name in listed if name)
    reader = TarReader(source(packed.read_bytes(), 1000))
    found = {entry.name.decode(): entry for entry in reader}
    assert sorted(found) == expected
    assert found["deep/er/x"].size == 5000 and found["deep/symbolic"].target == b"../file"
    if sparse:
        assert found["sparse"].size == 1 << 20 and found["sparse"].stored < 100_000

"""Layers onto disk: against GNU tar and the kernel's overlay as oracles, and hostile archives beside a canary."""

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from scow.images.archive.limits import ArchiveTooLarge, InvalidArchive, Limits
from scow.images.decompress import Decompressed
from scow.images.differ import write_upper
from scow.images.layer import unpack_into
from scow.images.unpack import Unpacked
from tests.harness import descriptors
from tests.unit.images.craft import archive, directory, file, hardlink, header, pax, source, symlink


def unpack(target: Path, data: bytes, limits: Limits | None = None) -> Unpacked:
    target.mkdir(mode=0o755, exist_ok=True)
    return unpack_into(str(target), Decompressed(source(data), limits or Limits()), limits or Limits())


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything about every file below `root`; links by a number that hard links share."""
    result: dict[str, tuple[object, ...]] = {}
    inodes: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        there = path.lstat()
        name = str(path.relative_to(root))
        is_file = stat.S_ISREG(there.st_mode)
        result[name] = (
            oct(there.st_mode),
            there.st_uid,
            there.st_gid,
            there.st_rdev,
            there.st_mtime_ns,
            there.st_size if is_file else 0,
            hashlib.sha256(path.read_bytes()).hexdigest() if is_file else "",
            os.readlink(path) if path.is_symlink() else "",
            inodes.setdefault(there.st_ino, name) if not path.is_dir() else "",
            {} if path.is_symlink() else {key: os.getxattr(path, key) for key in os.listxattr(path)},
        )
    return result


def fill(root: Path) -> None:
    """A tree with everything that layers can have."""
    (root / "bin").mkdir()
    (root / "bin" / "su").write_bytes(b"\x7fELF" * 1000)
    os.chown(root / "bin" / "su", 0, 42)
    os.chmod(root / "bin" / "su", 0o6755)
    os.setxattr(root / "bin" / "su", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.setxattr(root / "bin", "user.note", b"a\0b")
    os.link(root / "bin" / "su", root / "bin" / "su2")
    (root / "lib").symlink_to("usr/lib")
    (root / "home").mkdir()
    os.chown(root / "home", 3_000_000_000, 4_000_000_000)
    os.chmod(root / "home", 0o2775)
    (root / "home" / "inside-setgid").write_bytes(b"1")
    (root / "home" / "dir-inside-setgid").mkdir()
    os.mkfifo(root / "pipe", 0o622)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o660, os.makedev(7, 1))
    (root / ("n" * 180)).write_bytes(b"long")
    (root / "ünïcode").write_bytes(b"u")
    (root / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"b")
    (root / "empty").mkdir()
    (root / "group-writable").write_bytes(b"w")
    os.chmod(root / "group-writable", 0o666)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(10**18 + number, 1_500_000_000_000_000_000 + 1_000_003 * number), follow_symlinks=False)


@pytest.mark.parametrize("packer", ["gnu tar", "own writer"])
def test_restores_everything(tmp_path: Path, packer: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    fill(tree)
    packed = tmp_path / "a.tar"
    if packer == "gnu tar":
        command = ["tar", "--format=posix", "--xattrs", "--xattrs-include=*", "--numeric-owner"]
        subprocess.run([*command, "-cf", packed, "-C", tree, "."], check=True)
    else:
        with open(packed, "wb") as stream:
            write_upper(str(tree), stream.write)
    target = tmp_path / "target"
    unpacked = unpack(target, packed.read_bytes())
    assert listing(target) == listing(tree)
    files = {p.lstat().st_ino: p.lstat().st_size for p in tree.rglob("*") if not p.is_dir() or p.is_symlink()}
    assert unpacked.size == sum(files.values())


def test_own_writer_is_deterministic(tmp_path: Path) -> None:
    def pack(tree: Path) -> bytes:
        parts: list[bytes] = []
        write_upper(str(tree), parts.append)
        return b"".join(parts)

    (tmp_path / "one").mkdir()
    fill(tmp_path / "one")
    subprocess.run(["cp", "-a", tmp_path / "one", tmp_path / "two"], check=True)
    assert pack(tmp_path / "one") == pack(tmp_path / "two")


def test_links_within_the_layer_work(tmp_path: Path) -> None:
    data = archive(directory(b"usr/lib"), symlink(b"lib", b"/usr/lib"), file(b"lib/x", b"1"), hardlink(b"y", b"lib/x"))
    unpack(tmp_path / "t", data)
    assert (tmp_path / "t/usr/lib/x").read_bytes() == b"1"
    assert (tmp_path / "t/y").stat().st_nlink == 2


def test_the_last_entry_of_a_name_counts(tmp_path: Path) -> None:
    data = archive(
        file(b"a", b"first"),
        directory(b"b"),
        file(b"b/x", b"1234"),
        file(b"c", b"1"),
        symlink(b"d", b"c"),
        file(b"a", b"second"),
        file(b"b", b"now a file"),
        directory(b"c"),
        directory(b"d", mode=0o711),
    )
    unpacked = unpack(tmp_path / "t", data)
    assert (tmp_path / "t/a").read_bytes() == b"second" and (tmp_path / "t/b").read_bytes() == b"now a file"
    assert (tmp_path / "t/c").is_dir() and stat.S_IMODE((tmp_path / "t/d").lstat().st_mode) == 0o711
    assert unpacked.size == len(b"second") + len(b"now a file")


WHITEOUTS = {
    "file removed": archive(file(b".wh.keep")),
    "directory removed": archive(file(b".wh.dir")),
    "directory replaced, whiteout first": archive(file(b".wh.dir"), directory(b"dir"), file(b"dir/new", b"n")),
    "directory replaced, whiteout last": archive(directory(b"dir"), file(b"dir/new", b"n"), file(b".wh.dir")),
    "replaced without an entry for it": archive(file(b".wh.dir"), file(b"dir/new", b"n")),
    "opaque first": archive(directory(b"dir"), file(b"dir/.wh..wh..opq"), file(b"dir/new", b"n")),
    "opaque last": archive(directory(b"dir"), file(b"dir/new", b"n"), file(b"dir/.wh..wh..opq")),
    "file over directory": archive(file(b"dir", b"file")),
    "whiteout and file of the same name": archive(file(b".wh.keep"), file(b"keep", b"new")),
    "aufs leftovers": archive(file(b".wh..wh.aufs"), directory(b".wh..wh.plnk"), file(b"new", b"n")),
    "whiteout in a directory": archive(file(b"dir/.wh.old")),
}
EXPECTED = {
    "file removed": {"dir", "dir/old"},
    "directory removed": {"keep"},
    "directory replaced, whiteout first": {"keep", "dir", "dir/new"},
    "directory replaced, whiteout last": {"keep", "dir", "dir/new"},
    "replaced without an entry for it": {"keep", "dir", "dir/new"},
    "opaque first": {"keep", "dir", "dir/new"},
    "opaque last": {"keep", "dir", "dir/new"},
    "file over directory": {"keep", "dir"},
    "whiteout and file of the same name": {"keep", "dir", "dir/old"},
    "aufs leftovers": {"keep", "dir", "dir/old", "new"},
    "whiteout in a directory": {"keep", "dir"},
}


@pytest.mark.parametrize("name", WHITEOUTS)
def test_whiteouts_through_the_kernels_overlay(tmp_path: Path, name: str) -> None:
    from scow.linux import libc

    unpack(tmp_path / "base", archive(file(b"keep", b"k"), directory(b"dir"), file(b"dir/old", b"o")))
    unpack(tmp_path / "top", WHITEOUTS[name])
    merged = tmp_path / "merged"
    merged.mkdir()
    libc.mount("overlay", str(merged), "overlay", 0, f"lowerdir={tmp_path}/top:{tmp_path}/base".encode())
    try:
        assert {str(path.relative_to(merged)) for path in merged.rglob("*")} == EXPECTED[name]
    finally:
        libc.umount2(str(merged))


def test_native_merge_agrees_with_the_overlay(tmp_path: Path) -> None:
    from scow.images.native import merge

    for number, (name, data) in enumerate(WHITEOUTS.items()):
        root = tmp_path / str(number)
        root.mkdir()
        unpack(root / "base", archive(file(b"keep", b"k"), directory(b"dir"), file(b"dir/old", b"o")))
        unpack(root / "top", data)
        (root / "merged").mkdir()
        merge([str(root / "base"), str(root / "top")], str(root / "merged"))
        found = {str(path.relative_to(root / "merged")) for path in (root / "merged").rglob("*")}
        assert found == EXPECTED[name], name


def bomb(kind: str) -> bytes:
    """64 MiB of zeros in a file, compressed."""
    data = archive(header(b"x", size=64 << 20) + bytes(64 << 20))
    if kind == "gzip":
        import gzip

        return gzip.compress(data, 9)
    import zstandard

    return zstandard.compress(data, 19)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_cve_2017_14992_bombs(tmp_path: Path, kind: str) -> None:
    data = bomb(kind)
    with pytest.raises(ArchiveTooLarge):
        unpack(tmp_path / "bytes", data, Limits(bytes=16 << 20))
    with pytest.raises(ArchiveTooLarge):
        unpack(tmp_path / "ratio", data, Limits(ratio=100, ratio_floor=1 << 20))
    written = sum(path.stat().st_blocks * 512 for path in (tmp_path / "ratio").rglob("*"))
    assert written <= 32 << 20


@pytest.mark.parametrize("kind", ["gzip", "zstd", "plain"])
def test_compressions(tmp_path: Path, kind: str) -> None:
    import gzip

    import zstandard

    plain = archive(file(b"x", os.urandom(300_000)))
    half = len(plain) // 2
    packed = {
        "gzip": gzip.compress(plain[:half]) + gzip.compress(plain[half:]) + bytes(1024),
        "zstd": zstandard.compress(plain[:half]) + zstandard.compress(plain[half:]),
        "plain": plain,
    }[kind]
    for chunk in (1, 1000, 1 << 20) if kind != "plain" else (1000,):
        stream = Decompressed(source(packed[: 5000 if chunk == 1 else None], chunk))
        if chunk == 1:
            continue  # one byte at a time is the detection's business only
        parts = []
        while part := stream():
            parts.append(part)
        assert b"".join(parts) == plain
        assert stream.digest() == "sha256:" + hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_broken_compression(tmp_path: Path, kind: str) -> None:
    import gzip

    import zstandard

    plain = archive(file(b"x", os.urandom(100_000)))
    packed = gzip.compress(plain) if kind == "gzip" else zstandard.ZstdCompressor(write_checksum=True).compress(plain)
    damaged = bytearray(packed)
    damaged[len(damaged) // 2] ^= 0xFF
    cases = [bytes(damaged)]
    if kind == "gzip":  # zstd's reader takes a cut-off frame for an end: there size, digest and diff id tell
        cases += [packed[:-10], packed[: len(packed) // 2], packed + b"garbage"]
    for number, data in enumerate(cases):
        with pytest.raises(InvalidArchive):
            unpack(tmp_path / str(number), data)


def test_full_disk_is_a_typed_error(tmp_path: Path) -> None:
    from scow.errors import ResourceExhausted
    from scow.linux import libc

    small = tmp_path / "small"
    small.mkdir()
    libc.mount("tmpfs", str(small), "tmpfs", 0, b"size=1m")
    try:
        with pytest.raises(ResourceExhausted, match="No space left"):
            unpack(small / "t", archive(file(b"x", os.urandom(2 << 20))))
    finally:
        libc.umount2(str(small))


def test_no_fd_is_left(tmp_path: Path) -> None:
    before = descriptors.opened()
    members = [file(f"d{number}/e/f".encode(), b"x") for number in range(300)]
    unpack(tmp_path / "t", archive(*members, directory(b"d0/e", mode=0o700)))
    with pytest.raises(InvalidArchive):
        unpack(tmp_path / "u", archive(*members, file(b"../x")))
    descriptors.assert_no_new(before)


def test_directories_that_a_layer_does_not_mention(tmp_path: Path) -> None:
    """As Docker makes them: root's, 0755, whatever the directory has in the layer below; with the time of what they are
    made for, so that the tree is the same wherever it is unpacked. An entry that comes later counts.
    """
    data = archive(
        pax({"mtime": b"5.000000007"}),
        file(b"a/b/c", b"1", mode=0o600, uid=9, gid=9),
        symlink(b"d/e/l", b"x"),
        file(b"f/g", b"1"),
        directory(b"f", mode=0o711, uid=3, gid=4, mtime=8),
        file(b"gone/.wh.x"),
    )
    old = os.umask(0o027)
    try:
        unpack(tmp_path / "t", data)
    finally:
        os.umask(old)
    for name in ("a", "a/b", "d", "d/e", "gone"):
        there = (tmp_path / "t" / name).stat()
        assert (stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid) == (0o755, 0, 0), name
    assert [(tmp_path / "t" / name).stat().st_mtime_ns for name in ("a", "a/b")] == [5_000_000_007] * 2
    late = (tmp_path / "t/f").stat()
    assert (stat.S_IMODE(late.st_mode), late.st_uid, late.st_gid, late.st_mtime) == (0o711, 3, 4, 8)

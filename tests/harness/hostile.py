"""Archives that try to leave the directory into which they are unpacked, to replace it, or to cost more than they may.

Each case has the numbers of the weaknesses of that kind, its bytes, and what has to come of it: a refusal, or names in
the tree (an archive that puts a link into its own way is taken as if its target were the root: links lead within it).
What they aim at is a directory outside with a `file` and a directory `dir` in it.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.unit.images.craft import archive, directory, file, hardlink, header, pax, symlink

LINKS = ("CVE-2014-6407", "CVE-2014-9356", "CVE-2020-10696", "CVE-2026-17106")
PYTHON = ("CVE-2007-4559", "CVE-2024-12718", "CVE-2025-4138", "CVE-2025-4330", "CVE-2025-4435", "CVE-2025-4517")
ROOT = ("CVE-2021-29136",)
MODES = ("CVE-2021-32760", "CVE-2024-12718")
PAX = ("CVE-2025-62518",)
DEEP = ("CVE-2025-4517",)
REDIRECT = ("CVE-2014-6407",)

TOKEN = b"token-" + os.urandom(12).hex().encode()
"""What is in the file outside."""
_UP = b"../" * 12


@dataclass(frozen=True, slots=True)
class Case:
    """`data` is the archive. `there`: what the tree must have then, relative to its root, None for a refusal."""

    name: str
    weaknesses: tuple[str, ...]
    data: bytes
    there: tuple[bytes, ...] | None = None


@contextmanager
def outside() -> Iterator[Path]:
    """A short path with things outside every root; afterwards nothing about them may have changed."""
    base = Path(tempfile.mkdtemp(prefix="scowt-", dir="/var/tmp"))
    root = base / "aim"
    (root / "dir").mkdir(parents=True)
    (root / "file").write_bytes(TOKEN)
    os.chmod(root / "file", 0o640)
    os.setxattr(root / "file", "user.note", b"1")
    os.link(root / "file", root / "hard")
    (root / "link").symlink_to("file")
    os.mkfifo(root / "pipe")

    def state() -> object:
        tree = sorted([base, *base.rglob("*")])
        stats = [there.lstat() for there in tree]
        facts = [(st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_nlink) for st in stats]
        return tree, facts, os.listxattr(root / "file"), (root / "file").read_bytes()

    before = state()
    try:
        yield root
        assert state() == before
    finally:
        shutil.rmtree(base)


def corpus(aim: bytes) -> list[Case]:
    """All of them, against the absolute path `aim`, which has to be short: a plain header holds a hundred bytes."""
    assert len(aim) < 40
    return [*_through_links(aim), *_names(aim), *_replaced(aim), *_roots(aim), *_extended(aim), *_deep(aim)]


# What is done once a link `l` stands in the way: the members, and the names below the link's end that must come of it
# (a name that begins with "=" is one of the tree itself).
_Steps = tuple[str, tuple[str, ...], Callable[[bytes], tuple[bytes, ...]], tuple[bytes, ...]]
_STEPS: tuple[_Steps, ...] = (
    ("a file", LINKS + PYTHON, lambda at: (file(at + b"/file", b"evil"),), (b"/file",)),
    ("a new file", LINKS + PYTHON, lambda at: (file(at + b"/new", b"evil"),), (b"/new",)),
    ("a setuid file", LINKS, lambda at: (file(at + b"/su", b"evil", mode=0o6755, uid=7, gid=7),), (b"/su",)),
    ("a directory's mode", MODES, lambda at: (directory(at + b"/dir", mode=0o777),), (b"/dir",)),
    ("a directory's owner", MODES, lambda at: (directory(at + b"/dir", uid=1234, gid=1234, mtime=7),), (b"/dir",)),
    ("a new directory", LINKS, lambda at: (directory(at + b"/a/b"),), (b"/a/b",)),
    ("a symbolic link", LINKS, lambda at: (symlink(at + b"/file", b"/etc/passwd"),), (b"/file",)),
    ("a fifo", LINKS, lambda at: (header(at + b"/file", b"6"),), (b"/file",)),
    ("a device", LINKS, lambda at: (header(at + b"/file", b"3", device=(1, 3)),), (b"/file",)),
    ("a whiteout", LINKS, lambda at: (file(at + b"/.wh.file"),), (b"/file",)),
    ("an opaque mark", LINKS, lambda at: (file(at + b"/.wh..wh..opq"),), (b"",)),
    (
        "an attribute",
        MODES,
        lambda at: (pax({"SCHILY.xattr.user.evil": b"1"}), file(at + b"/file", b"")),
        (b"/file",),
    ),
    (
        "a sparse file",
        LINKS,
        lambda at: (
            pax({"GNU.sparse.map": b"0,4", "GNU.sparse.size": b"70000", "GNU.sparse.name": at + b"/file"}),
            file(b"x", b"evil"),
        ),
        (b"/file",),
    ),
    (
        "a hard link that is made there",
        (*LINKS, "CVE-2025-4330"),
        lambda at: (file(b"f", b"1"), hardlink(at + b"/file", b"f")),
        (b"/file", b"=f"),
    ),
    (
        "a long name",
        LINKS + PAX,
        lambda at: (pax({"path": at + b"/" + b"n" * 150}), file(b"x", b"evil")),
        (b"/" + b"n" * 150,),
    ),
)


def _aims(aim: bytes) -> dict[str, bytes]:
    return {
        "absolute": aim,
        "relative": _UP + aim[1:],
        "doubled": b"//" + aim[1:].replace(b"/", b"//"),
        "dotted": b"/./" + aim[1:] + b"/../" + aim.rpartition(b"/")[2] + b"/.",
        "procfs": b"/proc/self/root" + aim,
        "another process": b"/proc/1/root" + aim,
    }


def _through_links(aim: bytes) -> list[Case]:
    """Every step through every kind of link: refused where the link leads to nothing, within the tree where it does."""
    found = []
    for how, text in _aims(aim).items():
        ends = b"proc/self/root" + aim if how == "procfs" else b"proc/1/root" + aim if "process" in how else aim[1:]
        for depth, link in (("", b"l"), ("deep ", b"d/e/l")):
            if depth and how in ("doubled", "another process"):
                continue
            if depth and how == "relative":
                text = b"../../" + text
            for step, weaknesses, members, names in _STEPS:
                there = tuple(name[1:] if name.startswith(b"=") else ends + name for name in names)
                name = f"{depth}{how} link, {step}"
                made = (symlink(link, text), *members(link))
                found.append(Case(name, weaknesses, archive(*made)))
                if not depth:
                    landing = directory(ends)
                    found.append(Case(f"{name}, to a directory", weaknesses, archive(landing, *made), there))
    return found


def _names(aim: bytes) -> list[Case]:
    up = _UP + aim[1:]
    return [
        Case("dots in a name", LINKS + PYTHON, archive(file(up[:90] + b"/file", b"evil"))),
        Case("dots in a long name", LINKS, archive(pax({"path": up + b"/file"}), file(b"x", b"evil"))),
        Case("dots within a name", LINKS, archive(directory(b"a"), file(b"a/../../../file", b"evil"))),
        Case("dots at the end", LINKS, archive(directory(b"a/.."), file(b"x", b"1"))),
        Case("only dots", ROOT, archive(directory(b".."))),
        Case("an absolute name", LINKS, archive(pax({"path": aim + b"/file"}), file(b"x", b"1")), (aim[1:] + b"/file",)),
        Case("many slashes", LINKS, archive(pax({"path": b"///" + aim + b"//file"}), file(b"x")), (aim[1:] + b"/file",)),
        Case("dots by a prefix", LINKS, archive(header(b"file", prefix=b"../.."))),
        Case("dots in a hard link", LINKS, archive(hardlink(b"h", b"../../file"), file(b"h", b"evil"))),
        Case("dots in a long hard link", LINKS, archive(pax({"linkpath": up + b"/file"}), hardlink(b"h", b"y"))),
        Case("an absolute hard link", LINKS, archive(pax({"linkpath": aim + b"/file"}), hardlink(b"h", b"y"))),
        Case("dots in a sparse name", PAX, archive(pax({"GNU.sparse.name": b"../x", "GNU.sparse.map": b"0,1",
             "GNU.sparse.size": b"9"}), file(b"x", b"1"))),
        Case("dots behind a whiteout", LINKS, archive(file(b".wh..."))),
        Case("a whiteout of itself", LINKS, archive(file(b".wh.."))),
        Case("a whiteout of nothing", LINKS, archive(file(b"a/.wh."))),
        Case("dots in a whiteout's directory", LINKS, archive(file(b"../.wh.file"))),
        Case("an opaque mark above", LINKS, archive(file(b"../.wh..wh..opq"))),
        Case("no name", PAX, archive(header(b""))),
        Case("a name that is too long", DEEP, archive(pax({"path": b"a/" * 2500 + b"x"}), file(b"x"))),
        Case("a part that is too long", DEEP, archive(pax({"path": b"n" * 300}), file(b"x"))),
        Case("too many parts", DEEP, archive(pax({"path": b"a/" * 400 + b"x"}), file(b"x"))),
        Case("an end within a name", PAX, archive(pax({"path": b"a\0/../b"}), file(b"x"))),
        Case("letters of no alphabet", PAX, archive(file(b"\xff\xfe\x80", b"1")), (b"\xff\xfe\x80",)),
    ]  # fmt: skip


def _replaced(aim: bytes) -> list[Case]:
    """What was a directory, a file or a link becomes another thing, while later entries still name it."""
    long = pax({"linkpath": aim + b"/file"})
    return [
        Case("a directory in use becomes a link", LINKS, archive(
            directory(b"d"), file(b"d/x", b"1"), symlink(b"d", aim), file(b"d/file", b"evil"))),
        Case("a directory in use becomes a link, twice", ("CVE-2025-47290",), archive(
            *[part for _ in range(9) for part in (directory(b"d"), file(b"d/x", b"1"), symlink(b"d", aim))],
            file(b"d/file", b"evil"))),
        Case("a directory above becomes a link", LINKS, archive(
            directory(b"d/e/f"), file(b"d/e/f/x", b"1"), symlink(b"d", aim), file(b"d/e/f/x", b"evil"))),
        Case("a link becomes a directory", MODES, archive(symlink(b"l", aim), directory(b"l", mode=0o711)), (b"l",)),
        Case("a link to a file becomes a directory", MODES, archive(
            long, symlink(b"l", b"x"), directory(b"l", mode=0o777)), (b"l",)),
        Case("a link to a file becomes a file", MODES, archive(
            pax({"linkpath": aim + b"/file"}), symlink(b"l", b"x"), file(b"l", b"evil", mode=0o777)), (b"l",)),
        Case("a link becomes a device", LINKS, archive(symlink(b"l", aim), header(b"l", b"3", device=(1, 3))), (b"l",)),
        Case("a link becomes a hard link", LINKS, archive(file(b"f", b"1"), symlink(b"l", aim), hardlink(b"l", b"f")),
             (b"l", b"f")),
        Case("a hard link to a link, written", (*LINKS, "CVE-2025-4330"), archive(
            pax({"linkpath": aim + b"/file"}), symlink(b"l", b"x"), hardlink(b"h", b"l"), file(b"h", b"evil")),
            (b"h", b"l")),
        Case("a hard link to a link, gone through", (*LINKS, "CVE-2025-4330"), archive(
            symlink(b"l", aim), hardlink(b"h", b"l"), file(b"h/file", b"evil"))),
        Case("a hard link to a link, its mode", MODES, archive(
            symlink(b"l", aim), hardlink(b"h", b"l"), directory(b"h", mode=0o777)), (b"h", b"l")),
        Case("a hard link through a link", LINKS, archive(
            symlink(b"l", aim), hardlink(b"h", b"l/file"), file(b"h", b"evil"))),
        Case("a chain of links", LINKS, archive(symlink(b"a", aim), symlink(b"b", b"a"), file(b"b/file", b"evil"))),
        Case("a chain of links through directories", LINKS + DEEP, archive(
            directory(b"a/b/c"), symlink(b"a/b/c/up", b"../.."), symlink(b"x", b"a/b/c/up/../.."),
            symlink(b"y", b"x/../../../.." + aim), file(b"y/file", b"evil"))),
        Case("a loop of links", LINKS, archive(symlink(b"a", b"b"), symlink(b"b", b"a"), file(b"a/x", b"1"))),
        Case("a link to itself", LINKS, archive(symlink(b"a", b"a"), file(b"a/x", b"1"))),
        Case("a link to the directory it is in", LINKS, archive(
            directory(b"d"), symlink(b"d/l", b"."), file(b"d/l/l/l/x", b"1")), (b"d/x",)),
        Case("a link to the working directory", LINKS, archive(symlink(b"l", b"/proc/self/cwd"), file(b"l/x", b"1"))),
        Case("a link to an open file", LINKS, archive(symlink(b"l", b"/proc/self/fd/3"), file(b"l/x", b"1"))),
        Case("a file that is a directory", LINKS, archive(file(b"f", b"1"), file(b"f/x", b"2"))),
        Case("a fifo that is a directory", LINKS, archive(header(b"f", b"6"), file(b"f/x", b"2"))),
        Case("a fifo that becomes a file", LINKS, archive(header(b"f", b"6"), file(b"f", b"2")), (b"f",)),
        Case("a device that becomes a file", LINKS, archive(
            header(b"f", b"3", device=(1, 3)), file(b"f", b"2")), (b"f",)),
        Case("a whiteout that is a directory", LINKS, archive(file(b".wh.d"), file(b"d/x", b"2")), (b"d/x",)),
        Case("a hard link to a whiteout", LINKS, archive(file(b".wh.f"), hardlink(b"h", b"f"))),
        Case("a hard link to a directory", LINKS, archive(directory(b"d"), hardlink(b"h", b"d"))),
        Case("a hard link to itself", LINKS, archive(hardlink(b"h", b"h"))),
        Case("a hard link to what comes later", LINKS, archive(hardlink(b"h", b"f"), file(b"f", b"1"))),
    ]  # fmt: skip


def _roots(aim: bytes) -> list[Case]:
    found = [
        Case("a hard link to the root", ROOT, archive(hardlink(b"h", b"."))),
        Case("the root with dots", ROOT, archive(directory(b"./.."))),
        Case("the root's mode", ROOT, archive(directory(b"./", mode=0o700), file(b"x", b"1")), (b"x",)),
        Case("the root is removed", ROOT, archive(file(b"x", b"1"), file(b".wh..wh..opq")), (b"x",)),
    ]
    for name in (b".", b"./", b"/", b"//", b"./."):
        text = name.decode()
        found += [
            Case(f"the root {text} is a link", ROOT, archive(symlink(name, aim), file(b"file", b"evil"))),
            Case(f"the root {text} is a hard link", ROOT, archive(hardlink(name, b"x"))),
            Case(f"the root {text} is a device", ROOT, archive(header(name, b"3", device=(1, 3)))),
            Case(f"the root {text} is a fifo", ROOT, archive(header(name, b"6"))),
            Case(f"the root {text} is a file", ROOT, archive(file(name, b"evil"))),
        ]
    return found


def _extended(aim: bytes) -> list[Case]:
    long = aim + b"/file"
    return [
        Case("a redirect of overlayfs", REDIRECT, archive(
            pax({"SCHILY.xattr.trusted.overlay.redirect": aim}), directory(b"d")), (b"d",)),
        Case("a metacopy of overlayfs", REDIRECT, archive(
            pax({"SCHILY.xattr.trusted.overlay.metacopy": b"\0", "SCHILY.xattr.trusted.overlay.redirect": long}),
            file(b"f", b"")), (b"f",)),
        Case("an opaque mark of a user's overlayfs", REDIRECT, archive(
            pax({"SCHILY.xattr.user.overlay.opaque": b"y"}), directory(b"d")), (b"d",)),
        Case("two long names", PAX, archive(file(b"././@LongLink", b"a\0", b"L"), pax({"path": b"b"}), file(b"x"))),
        Case("a name for all", PAX, archive(pax({"path": b"../x"}, b"g"), file(b"x", b"1"))),
        Case("two sizes", PAX, archive(pax({"size": b"1"}), file(b"x", b"1" * 600))),
        Case("a size below nothing", ("CVE-2025-8194",), archive(header(b"x", size=b"\xff" * 12))),
        Case("a link's size below nothing", ("CVE-2025-8194",), archive(header(b"x", b"1", size=b"\xff" * 12, target=b"y"))),
        Case("a record without an end", ("CVE-2019-20907",), archive(file(b"p", b"0 path=x\n", b"x"), file(b"x"))),
        Case("digits without an end", ("CVE-2024-6232",), archive(file(b"p", b"1" * 100_000, b"x"), file(b"x"))),
        Case("a header larger than a header", ("CVE-2022-2879",), archive(header(b"p", b"x", size=1 << 30))),
        Case("a long name larger than a name", ("CVE-2022-2879",), archive(header(b"p", b"L", size=1 << 30))),
        Case("a map larger than a map", ("CVE-2025-58183",), archive(
            pax({"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"10"}),
            file(b"s", b"1000000\n" + b"0\n" * 4000))),
        Case("a map beyond its file", ("CVE-2025-58183",), archive(
            pax({"GNU.sparse.map": b"0,10,90,10", "GNU.sparse.size": b"50"}), file(b"s", b"1" * 20))),
        Case("a sparse file of no bound", ("CVE-2017-14992",), archive(
            pax({"GNU.sparse.map": b"0,1", "GNU.sparse.size": b"9" * 18}), file(b"s", b"1"))),
        Case("a file of no bound", ("CVE-2017-14992",), archive(header(b"x", size=b"\x80" + b"\xff" * 11))),
        Case("an owner of no bound", PAX, archive(pax({"uid": b"4294967295"}), file(b"x"))),
        Case("a device of no bound", PAX, archive(header(b"c", b"3", device=(0o777777, 0)))),
        Case("a time of no bound", PAX, archive(pax({"mtime": b"9" * 12}), file(b"x")), (b"x",)),
        Case("a kind of its own", PAX, archive(header(b"x", b"Z"))),
        Case("a directory with content", PAX, archive(file(b"d", b"x" * 512, b"5"))),
        Case("garbage", ("CVE-2019-20907",), b"\x80" * 5000),
        Case("a wrong sum", PAX, archive(header(b"x", checksum=1))),
        Case("an end within", PAX, bytes(512) + archive(file(b"x"))),
        Case("cut off in a file", PAX, header(b"x", size=1000) + b"1" * 10),
    ]  # fmt: skip


def _deep(aim: bytes) -> list[Case]:
    """Links whose resolved name is longer than PATH_MAX, behind which a check by string no longer sees."""
    part = b"d" * 247
    members, path, short = [], b"", b""
    for letter in b"abcdefghijklmno":
        path = (path + b"/" if path else b"") + part
        members += [pax({"path": path}), directory(b"x")]
        above = path.rpartition(b"/")[0]
        link = (above + b"/" if above else b"") + bytes([letter])
        members += [pax({"path": link, "linkpath": part}), symlink(b"x", b"x")]
        short = (short + b"/" if short else b"") + bytes([letter])
    up = short + b"/" + b"../" * 15
    out = [*members, pax({"linkpath": up}), symlink(b"up", b"x")]
    return [
        Case("a link beyond PATH_MAX", DEEP, archive(*out), (b"up",)),
        Case("up from a link beyond PATH_MAX", DEEP, archive(
            *out, pax({"linkpath": b"up/../../../../.." + aim}), symlink(b"l", b"x"), file(b"l/file", b"evil"))),
        Case("a hard link from beyond PATH_MAX", DEEP, archive(
            *out, pax({"linkpath": b"up/../../file"}), hardlink(b"h", b"x"), file(b"h", b"evil"))),
        Case("a mode beyond PATH_MAX", DEEP + MODES, archive(*out, directory(b"up/..", mode=0o777))),
    ]  # fmt: skip

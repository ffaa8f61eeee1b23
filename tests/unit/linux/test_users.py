"""Docker's user strings against an image's passwd and group files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import InvalidArgument, NotFound, ScowError
from scow.linux import paths, users

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment:x:0:0::/:
app:x:1000:100:App:/home/app:/bin/sh
1234:x:0:0:a name of digits:/root:/bin/sh
broken:x:zero:0::/:
negative:x:-1:0::/:
huge:x:4294967296:0::/:
plus:x:+5:0::/:
short:x:7
nohome:x:8:8:::
relative:x:9:9::home:
"""
GROUP = """root:x:0:
staff:x:50:app,other
wheel:x:10:other,app
bad:x:no:app
777:x:0:app
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    fd = paths.open_root(str(tmp_path))
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("user", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, (0,), "/root"),
        ("root", 0, 0, (0,), "/root"),
        ("app", 1000, 100, (100, 50, 10, 0), "/home/app"),
        ("1000", 1000, 100, (100, 50, 10, 0), "/home/app"),
        ("app:staff", 1000, 50, (50,), "/home/app"),
        ("app:50", 1000, 50, (50,), "/home/app"),
        ("app:4000", 1000, 4000, (4000,), "/home/app"),
        ("4000", 4000, 0, (0,), "/"),
        ("4000:4001", 4000, 4001, (4001,), "/"),
        (":staff", 0, 50, (50,), "/root"),
        ("nohome", 8, 8, (8,), "/"),
        ("relative", 9, 9, (9,), "/"),
    ],
)
def test_resolve(root: int, user: str, uid: int, gid: int, groups: tuple[int, ...], home: str) -> None:
    assert users.resolve(root, user) == users.Identity(uid, gid, groups, home)


@pytest.mark.parametrize("user", ["1234", "1234:1234"])
def test_digits_are_a_number_never_a_name(root: int, user: str) -> None:
    """CVE-2016-3697."""
    assert users.resolve(root, user).uid == 1234


def test_digits_are_a_number_for_groups_too(root: int) -> None:
    assert users.resolve(root, "app:777").gid == 777


@pytest.mark.parametrize("user", ["-1", "2147483648", "4294967296", "99999999999999999999", "+5", "-0"])
def test_out_of_range_is_an_error_and_no_name(root: int, user: str) -> None:
    """CVE-2024-40635, CVE-2026-46680."""
    for text in (user, f"0:{user}"):
        with pytest.raises(InvalidArgument, match="uids and gids must be in range 0-2147483647"):
            users.resolve(root, text)


@pytest.mark.parametrize(
    "user", ["nosuch", "0x0", "1e3", " 5", "٣", "broken", "negative", "huge", "plus", "short", "5 "]
)
def test_unknown_names(root: int, user: str) -> None:
    with pytest.raises(NotFound, match="unable to find user .*: no matching entries in passwd file"):
        users.resolve(root, user)


def test_unknown_groups(root: int) -> None:
    with pytest.raises(NotFound, match="^unable to find group nosuch: no matching entries in group file$"):
        users.resolve(root, "app:nosuch")
    with pytest.raises(NotFound, match="^Unable to find group nosuch: no matching entries in group file$"):
        users.resolve(root, "app", additional=["nosuch"])


def test_additional_groups(root: int) -> None:
    assert users.resolve(root, "app", additional=[7, "staff"]).groups == (100, 50, 10, 0, 7)
    assert users.by_number(root, 1000, 5, ["wheel", 6]) == users.Identity(1000, 5, (5, 10, 6), "/home/app")


def test_files_that_are_no_files(tmp_path: Path) -> None:
    """CVE-2026-47262: passwd as FIFO, group as a link to a device: no hang, no entries."""
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    (tmp_path / "etc/group").symlink_to("/dev/zero")
    fd = paths.open_root(str(tmp_path))
    try:
        assert users.resolve(fd, "5:6") == users.Identity(5, 6, (6,), "/")
        with pytest.raises(NotFound):
            users.resolve(fd, "root")
    finally:
        os.close(fd)


@given(st.text(max_size=20), st.binary(max_size=200), st.binary(max_size=200))
def test_never_crashes_and_never_invents_root(user: str, passwd: bytes, group: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/etc")
        for name, content in (("passwd", passwd), ("group", group)):
            with open(f"{directory}/etc/{name}", "wb") as file:
                file.write(content)
        fd = paths.open_root(directory)
        try:
            who = users.resolve(fd, user)
        except ScowError:
            return
        finally:
            os.close(fd)
        name = user.partition(":")[0]
        if who.uid == 0 and name and set(name) != {"0"}:
            assert name.encode("utf-8", "surrogateescape") in [
                line.strip().split(b":")[0] for line in passwd.split(b"\n")
            ]

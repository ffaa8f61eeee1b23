"""What `cp` makes of its two paths."""

import pytest

from scow.cli import cp_paths
from scow.cli.command import Exit
from scow.cli.cp_paths import Place


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("c:/x", ("c", "/x")), ("/c:/x", ("", "/c:/x")), ("./c:x", ("", "./c:x")), ("file", ("", "file")),
        ("c:", ("c", "")), (":x", ("", "x")), ("c:a:b", ("c", "a:b")), ("-", ("", "-")),
    ],
)  # fmt: skip
def test_arguments(argument: str, wanted: tuple[str, str]) -> None:
    assert cp_paths.split_argument(argument) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/a/b", ("/a", "b")), ("/a/b/", ("/a", "b")), ("/a/b/.", ("/a/b", ".")), ("/", ("/", "/")), ("a", (".", "a")),
        ("/.", ("/", ".")), (".", (".", ".")), ("/a//b", ("/a", "b")), ("//a", ("/", "a")),
    ],
)  # fmt: skip
def test_split_last(path: str, wanted: tuple[str, str]) -> None:
    assert cp_paths.split_last(path) == wanted


FILE, TREE = Place("/s/f", True, False), Place("/s/d", True, True)


@pytest.mark.parametrize(
    ("source", "destination", "wanted"),
    [
        (FILE, Place("/t", True, True), ("/t", "")), (TREE, Place("/t", True, True), ("/t", "")),
        (FILE, Place("/t/f", True, False), ("/t", "f")), (FILE, Place("/t/new"), ("/t", "new")),
        (TREE, Place("/t/new"), ("/t", "new")), (TREE, Place("/t/new/"), ("/t", "new")),
        (TREE, Place("/t/f", True, False), "cannot copy directory"), (FILE, Place("/t/new/"), "no such directory"),
    ],
)  # fmt: skip
def test_settle(source: Place, destination: Place, wanted: object) -> None:
    if isinstance(wanted, str):
        with pytest.raises(Exit) as refused:
            cp_paths.settle(source, destination)
        assert refused.value.message == wanted
    else:
        assert cp_paths.settle(source, destination) == wanted


@pytest.mark.parametrize(
    ("old", "name", "wanted"),
    [
        ("d", b"d", b"n"),
        ("d", b"d/x", b"n/x"),
        ("d", b"dx", b"dx"),
        (".", b"", b"n"),
        (".", b"x", b"n/x"),
        ("/", b"d", b"n/d"),
    ],
)
def test_renamer(old: str, name: bytes, wanted: bytes) -> None:
    assert cp_paths.renamer(old, "n")(name) == wanted  # type: ignore[operator]


def test_rebased() -> None:
    assert cp_paths.rebased("/a/link/", "/b/real") == ("/b/real/", "link")
    assert cp_paths.rebased("/a/link/.", "/b/real") == ("/b/real/.", "")
    assert cp_paths.rebased("/a/x", "/b/x") == ("/b/x", "")

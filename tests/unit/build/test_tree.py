"""Paths in trees: links stay inside, whatever they say; patterns mean what Go's mean."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.build.context import Context
from scow.build.files import Files, Ownership
from scow.build.tree import Node, matches, resolve, split, walk
from scow.errors import InvalidArgument
from scow.images.archive import entry as kinds
from scow.images.archive.limits import DEFAULT
from tests.harness.contexts import context


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Context]:
    data = context(
        {"a": "A", "ab": "AB", "d/f": "F", "d/g/h": "H", "[x]": "X", "s p": "S"},
        links={"l": "d", "up": "../../../../a", "abs": "/d/g", "loop": "loop2", "loop2": "loop", "d/back": ".."},
    )
    found = Context(str(tmp_path / "context"))
    found.read_archive(iter([data, b"", b"", b""]).__next__, DEFAULT)
    yield found
    found.close()
    assert not (tmp_path / "context").exists()


@pytest.mark.parametrize(
    ("path", "real"),
    [
        (b"/d/f", b"d/f"),
        (b"l/f", b"d/f"),
        (b"up", b"a"),
        (b"abs/h", b"d/g/h"),
        (b"d/back/d/back/a", b"a"),
        (b"../../d/../a", b"a"),
        (b"no/such/../x", b"no/x"),
        (b"l", b"d"),
    ],
)
def test_links_are_followed_inside(tree: Context, path: bytes, real: bytes) -> None:
    assert resolve(tree, path) == split(real)


def test_a_last_link_counts_only_when_it_is_asked_for(tree: Context) -> None:
    assert resolve(tree, b"l", follow=False) == (b"l",)
    assert resolve(tree, b"l/", follow=False) == (b"d",)


def test_a_loop_ends(tree: Context) -> None:
    with pytest.raises(InvalidArgument, match="too many links at 'loop'"):
        resolve(tree, b"loop")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (b"a*", [b"a", b"ab", b"abs"]),
        (b"a?", [b"ab"]),
        (b"d/*", [b"d/back", b"d/f", b"d/g"]),
        (b"*/f", [b"d/f", b"d/f"]),
        (b"[a-b]", [b"a"]),
        (b"[^a]", [b"d", b"l"]),
        (b"\\[x\\]", [b"[x]"]),
        (b"*.no", []),
    ],
)
def test_patterns(tree: Context, pattern: bytes, found: list[bytes]) -> None:
    assert (
        sorted(b"/".join(resolve(tree, b"/".join(path[:-1])) + path[-1:]) for path in matches(tree, pattern)) == found
    )


@given(st.lists(st.sampled_from([b"..", b"d", b"l", b"up", b"abs", b"", b".", b"back", b"x"]), max_size=12))
def test_nothing_leads_out(names: list[bytes]) -> None:
    class Links:
        """Every directory has all of the names, and three of them are links upwards."""

        TARGETS: ClassVar = {b"l": b"..", b"up": b"../../../..", b"abs": b"/d/../.."}

        def find(self, path: tuple[bytes, ...]) -> Node | None:
            target = self.TARGETS.get(path[-1]) if path else None
            return Node(kinds.DIRECTORY, 0o755) if target is None else Node(kinds.SYMLINK, 0o777, target=target)

        def names(self, path: tuple[bytes, ...]) -> list[bytes]:
            return []

        def content(self, path: tuple[bytes, ...]) -> Iterator[bytes]:
            return iter(())

    assert b".." not in resolve(Links(), b"/".join(names))


def test_the_digest_is_of_content_and_not_of_times(tmp_path: Path) -> None:
    digests = []
    for number, (mtime, text) in enumerate([(1, "x"), (2, "x"), (1, "y")]):
        found = Context(str(tmp_path / str(number)))
        found.read_archive(iter([context({"d/f": text}, mtime=mtime), b"", b""]).__next__, DEFAULT)
        files = Files(found, Ownership(), from_context=True)
        files.contents((b"to",), found, (b"d",))
        digests.append(files.digest())
        found.close()
    assert digests[0] == digests[1] != digests[2]


def test_a_pinned_time_is_everywhere(tmp_path: Path) -> None:
    found = Context(str(tmp_path / "c"))
    found.read_archive(iter([context({"d/f": "x", "d/g/h": "y"}, mtime=5), b"", b""]).__next__, DEFAULT)
    out = io.BytesIO()
    files = Files(found, Ownership(3, 4), from_context=True)
    files.contents((b"new", b"to"), found, (b"d",))
    files.write(100, True, out.write)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        seen = {member.name: (member.mtime, member.uid) for member in archive}
    assert seen == {
        "new": (100, 0),
        "new/to": (100, 0),
        "new/to/f": (100, 3),
        "new/to/g": (100, 3),
        "new/to/g/h": (100, 3),
    }
    assert [path for path, _ in walk(found, ())][:2] == [(b"d",), (b"d", b"f")]
    found.close()


def test_a_pattern_made_to_cost_is_matched_at_once(tmp_path: Path) -> None:
    found = Context(str(tmp_path / "c"))
    found.read_archive(iter([context({"a" * 250: "x"}), b"", b""]).__next__, DEFAULT)
    assert matches(found, b"*a" * 40 + b"b") == []
    assert matches(found, b"*a" * 40) == [(b"a" * 250,)]
    found.close()

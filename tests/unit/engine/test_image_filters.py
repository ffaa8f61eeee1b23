"""Filters of images: patterns as Go's path.Match reads them, booleans, wrong values."""

import fnmatch
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.engine.images.filters import path_pattern, truth
from scow.engine.images.query import list_images
from scow.errors import InvalidArgument
from tests.unit.engine.doubles import IMAGE, World
from tests.unit.engine.test_lifecycle import run


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [  # the cases of Go's own documentation of path.Match, and what image names need
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True),
        ("a?b", "a/b", False),
        ("[\\]a]", "]", True),
        ("[\\-x]", "-", True),
        ("[x\\-]", "z", False),
        ("*x", "xxx", True),
        ("*:1", "busybox:1", True),
        ("*:1", "a/busybox:1", False),
        ("127.0.0.1:5000/*", "127.0.0.1:5000/app", True),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert path_pattern(pattern)(name) is matches


@pytest.mark.parametrize("pattern", ["[", "[a", "[]a]", "[-]", "[x-]", "[-x]", "a[", "[a-b-c]", "a\\", "[^"])
def test_malformed_patterns(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="syntax error in pattern"):
        path_pattern(pattern)


def test_what_got_its_name_later_is_newer_within_a_second(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for name, created, tagged in (("old", "2026-11-24T03:48:50.6Z", 1), ("new", "2026-11-24T03:48:50Z", 2)):
            image = replace(IMAGE, id=f"sha256:{name}", tags=(f"{name}:latest",), created=created, tagged_at=tagged)
            world.images.all[image.id] = image
        world.images.all.pop(IMAGE.id)
        for filters, found in (({}, ["new", "old"]), ({"since": ["old"]}, ["new"]), ({"before": ["new"]}, ["old"])):
            assert [image.tags[0].partition(":")[0] for image in list_images(world.engine, False, filters)] == found

    run(tmp_path, scenario)


@given(st.text(alphabet="ab*?x", max_size=12), st.text(alphabet="abx", max_size=12))
def test_without_slashes_and_brackets_it_is_a_shell_pattern(pattern: str, name: str) -> None:
    assert path_pattern(pattern)(name) == fnmatch.fnmatchcase(name, pattern)


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_a_pattern_or_refused(pattern: str, name: str) -> None:
    try:
        path_pattern(pattern)(name)
    except InvalidArgument as error:
        assert error.message == "syntax error in pattern"


def test_truth() -> None:
    assert truth({"dangling": ["1"]}, "dangling", False) and not truth({"dangling": ["false"]}, "dangling", True)
    assert truth({}, "dangling", True)
    for values in (["maybe"], ["true", "false"], ["TRUE"]):
        with pytest.raises(InvalidArgument, match=r"invalid filter 'dangling=\["):
            truth({"dangling": values}, "dangling", False)

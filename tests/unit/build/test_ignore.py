""".dockerignore: what Docker's client sent of the same folder is recorded in tests/golden/dockerfiles/ignore.json."""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.build.frontend import globs
from scow.build.frontend.ignore import BadPattern, IgnoreRules
from scow.errors import InvalidArgument

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/dockerfiles/ignore.json").read_text())


def folder() -> list[str]:
    """Every path of the recorded folder, those above first."""
    found = set()
    for path in (entry.rstrip("/") for entry in GOLDEN["tree"]):
        while path:
            found.add(path)
            path = posixpath.dirname(path)
    return sorted(found)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: repr(case["text"]))
def test_what_docker_leaves_out_is_left_out(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(InvalidArgument, match="^" + re.escape(case["error"])):
            rules = IgnoreRules.parse(case["text"])
            for path in folder():
                rules.excluded(path)
        return
    rules = IgnoreRules.parse(case["text"])
    assert [path for path in folder() if rules.excluded(path)] == case["left_out"]


def test_a_bad_pattern_names_its_line() -> None:
    with pytest.raises(BadPattern) as caught:
        IgnoreRules.parse("a\n\n[b\n")
    assert caught.value.line == 3 and caught.value.message == 'syntax error in pattern "[b" on line 3'


def test_no_rules_leave_out_nothing() -> None:
    rules = IgnoreRules.parse("# all\n\n")
    assert not rules and not rules.excluded("a/b") and rules.may_hold("a")


def test_patterns_of_a_flag_are_rules_as_well() -> None:
    rules = IgnoreRules.of(["*.md", " !README.md"])
    assert [name for name in ("a.md", "README.md", "c") if rules.excluded(name)] == ["a.md"]


def test_many_wildcards_take_no_time() -> None:
    rules = IgnoreRules.parse("**/" + "*a" * 30 + "/**/" + "*b" * 30 + "/**/[x]\n")
    assert not rules.excluded("a" * 250 + "/" + "b" * 250 + "/y")
    assert rules.excluded("q/" + "a" * 250 + "/" + "b" * 250 + "/x")


_TEXTS = st.lists(
    st.sampled_from([*"ab.*?/![]-^\\# \n", "**", "**/", "é", "[a-b]"]),
    max_size=25,
).map("".join)
_PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a.b", ".x"]), min_size=1, max_size=4).map("/".join)


@given(_TEXTS, st.lists(_PATHS, max_size=5))
def test_any_text_is_rules_or_refused(text: str, paths: list[str]) -> None:
    try:
        rules = IgnoreRules.parse(text)
        for path in paths:
            first = rules.excluded(path)
            assert rules.excluded(path) is first
            # what a walk would not enter holds nothing that is seen
            above = posixpath.dirname(path)
            assert not above or rules.may_hold(above) or first
    except InvalidArgument:
        pass


@given(
    st.lists(st.sampled_from(["*", "?", "**", "**/", "a", "b", "/", "[ab]"]), min_size=3, max_size=8).map("".join),
    _PATHS,
)
def test_both_ways_to_match_agree(pattern: str, path: str) -> None:
    tokens = globs._tokens(pattern)
    by_states = globs._States(globs._with_sets(tokens)).holds(path)
    assert by_states == (globs._compiled("".join(text for _, text in tokens)).fullmatch(path) is not None)

"""Variables: what dockerd 26.1 made of the same texts is recorded in tests/golden/dockerfiles/expansion.json.

Two oddities of Docker's are left out on purpose: it reads $1 in the replacement of ${n//p/w} as a group, and it breaks
off at ${n#}.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.build.frontend import commands, parser, patterns
from scow.build.frontend.expand import expand, expand_words, expanded
from scow.errors import InvalidArgument

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/dockerfiles/expansion.json").read_text())
VARIABLES = GOLDEN["variables"]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["text"])
def test_a_text_becomes_what_docker_makes_of_it(case: dict[str, Any]) -> None:
    escape = case.get("escape", "\\")
    if "value" in case:
        assert expand(case["text"], VARIABLES.get, escape) == case["value"]
    else:
        with pytest.raises(InvalidArgument) as caught:
            expand(case["text"], VARIABLES.get, escape)
        assert caught.value.message == case["error"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$sp", ("a", "b")),
        ('"$sp"', ("a b",)),
        ("x$sp", ("xa", "b")),
        ("$none", ()),
        ('""', ()),
        ("8$empty 9", ("8", "9")),
    ],
)
def test_unquoted_values_part_words(text: str, words: tuple[str, ...]) -> None:
    assert expand_words(text, VARIABLES.get) == words


def test_a_replacement_is_what_it_says() -> None:
    assert expand(r"${abc//b/\$1}", VARIABLES.get) == r"a\$1ca\$1c"
    assert expand("${abc#}${abc%}", VARIABLES.get) == "abcabcabcabc"


def test_commands_are_expanded_by_their_table() -> None:
    text = "FROM a\nCOPY --chown=$abc $abc <<A <<'B' /$none\n$abc 'x'\nA\n$abc\nB\nRUN --mount=type=cache,target=/$abc $abc\n"
    copy, run = parser.parse(text).stages[0].commands
    copied = expanded(copy, VARIABLES.get)
    assert isinstance(copied, commands.Copy) and isinstance(run, commands.Run)
    assert (copied.chown, copied.sources, copied.target) == ("abcabc", ("abcabc",), "/")
    assert [document.content for document in copied.heredocs] == ["abcabc 'x'\n", "$abc\n"]
    done = expanded(run, VARIABLES.get)
    assert done.mounts[0].target == "/abcabc" and done.command == ("$abc",)


def test_what_grows_without_end_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="longer than"):
        expand("$x$x", {"x": "y" * (1 << 20)}.get)
    with pytest.raises(InvalidArgument, match="nested too deeply"):
        expand("${x:-" * 60 + "}" * 60, {}.get)
    with pytest.raises(InvalidArgument, match="too long"):
        expand("${x#" + "*a" * 100 + "}", {"x": "a" * 100_000}.get)


_PIECES = st.sampled_from(
    ["$", "${", "}", ":", "-", "+", "?", "#", "%", "/", "*", "\\", "`", "'", '"', "abc", "none", " ", "ä"]
)


@given(st.lists(_PIECES, max_size=30).map("".join), st.sampled_from("\\`"))
def test_any_text_is_expanded_or_refused(text: str, escape: str) -> None:
    try:
        expand(text, VARIABLES.get, escape)
        expand_words(text, VARIABLES.get, escape)
    except InvalidArgument as error:
        assert error.message.startswith("failed to process ")


@given(st.text(alphabet="ab*?", max_size=6), st.text(alphabet="ab", max_size=8))
def test_the_shortest_and_the_longest_match_are_those_of_all_matches(pattern: str, value: str) -> None:
    def matches(at: int, rest: str) -> set[int]:
        if not rest:
            return {at}
        if rest[0] == "*":
            return {end for start in range(at, len(value) + 1) for end in matches(start, rest[1:])}
        return matches(at + 1, rest[1:]) if at < len(value) and rest[0] in ("?", value[at]) else set()

    ends = matches(0, pattern)
    read = patterns.read(pattern)
    assert read.prefix(value, greedy=False) == (min(ends) if ends else None)
    assert read.prefix(value, greedy=True) == (max(ends) if ends else None)
    first = next((start for start in range(len(value) + 1) if matches(start, pattern)), None)
    wanted = value if first is None else value[:first] + "-" + value[max(matches(first, pattern)) :]
    assert read.replace(value, "-", every=False) == wanted

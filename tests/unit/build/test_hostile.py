"""Dockerfiles that are made to cost: each is refused or read in a bounded time, with errors of ours."""

import pytest

from scow.build.frontend import parser
from scow.build.frontend.commands import OnBuild, Run
from scow.build.frontend.durations import nanoseconds
from scow.build.frontend.errors import DockerfileError
from scow.build.frontend.expand import expand
from scow.errors import InvalidArgument


def test_a_first_line_of_blanks_is_read_at_once() -> None:
    assert parser.parse(f"# syntax=x{' ' * 300_000}x\nFROM scratch\n").directives[0][0] == "syntax"


def test_a_chain_of_triggers_is_refused_however_long() -> None:
    with pytest.raises(DockerfileError, match="Chaining ONBUILD"):
        parser.parse(f"FROM scratch\n{'ONBUILD ' * 5000}RUN x\n")


@pytest.mark.parametrize("text", ["$x" * 2000, "${x:-y}" * 2000, '"' + "$x" * 2000 + '"', "${x//a/$x}"])
def test_a_value_grows_no_further_than_its_bound(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"longer than|too long"):
        expand(text, lambda name: "a" * 100_000)


def test_a_trigger_keeps_its_documents() -> None:
    (trigger,) = parser.parse("FROM scratch\nONBUILD RUN <<EOF\nhi\nEOF\n").stages[0].commands
    assert isinstance(trigger, OnBuild)
    run = parser.command(trigger.instruction)
    assert isinstance(run, Run) and run.heredocs[0].content == "hi\n"


@pytest.mark.parametrize(("text", "found"), [("8.2s", 8_200_000_000), ("1.001s", 1_001_000_000), (".5s", 500_000_000)])
def test_durations_are_exact(text: str, found: int) -> None:
    assert nanoseconds(text) == found

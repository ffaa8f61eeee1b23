"""Which stages a target needs, and the variables that a stage sees."""

import pytest

from scow.build.frontend import parser
from scow.build.graph import Plan, plan
from scow.build.scope import Arguments, Scope, outer
from scow.errors import InvalidArgument
from scow.model.container import ContainerConfig
from scow.oci.platform import Platform

PLATFORM = Platform("linux", "amd64")


def planned(text: str, target: str = "", **given: str) -> Plan:
    dockerfile = parser.parse(text)
    arguments = Arguments(given, PLATFORM)
    scope = outer(arguments, dockerfile.arguments, dockerfile.escape)
    return plan(dockerfile, target, scope, [("l", "1")])


def test_only_what_the_target_needs() -> None:
    text = (
        "FROM a AS one\nRUN 1\nFROM b AS two\nRUN 2\nFROM one AS three\nCOPY --from=0 / /\nFROM c\n"
        "RUN --mount=type=bind,from=two,target=/x 3\n"
    )
    assert list(planned(text).stages) == [1, 3]
    assert list(planned(text, "three").stages) == [0, 2]
    assert list(planned(text, "THREE").stages) == [0, 2]
    assert planned(text, "1").target == 1
    with pytest.raises(InvalidArgument, match='target stage "9" could not be found'):
        planned(text, "9")


def test_the_steps_are_counted_over_the_stages_that_are_built() -> None:
    found = planned("ARG A=x\nFROM a AS one\nRUN 1\nFROM b AS unused\nRUN 2\nFROM $A\nCOPY --from=one / /\n")
    assert {index: stage.first for index, stage in found.stages.items()} == {0: 2, 2: 4}
    assert found.steps == 6  # ARG, FROM, RUN, FROM, COPY, and the label that was asked for
    assert (found.stages[2].image, found.stages[2].commands[-1].text) == ("x", "LABEL l=1")


def test_a_base_must_have_a_name() -> None:
    with pytest.raises(InvalidArgument, match=r"base name \(\$A\) should not be blank"):
        planned("ARG A\nFROM $A\n")


def test_what_a_stage_sees() -> None:
    arguments = Arguments({"A": "given", "HTTP_PROXY": "p", "NEVER": "x"}, PLATFORM)
    dockerfile = parser.parse("ARG A=1\nARG B=2\nFROM x\nARG A\nARG B\nARG C=$A-$B\nARG TARGETPLATFORM\nARG D\n")
    before = outer(arguments, dockerfile.arguments, dockerfile.escape)
    scope = Scope(arguments, before.values, dockerfile.escape)
    config = ContainerConfig(env=("B=env",))
    for command in dockerfile.stages[0].commands:
        scope.declare(scope.expanded(command, config))  # type: ignore[arg-type]
    assert scope.known() == {"A": "given", "B": "2", "C": "given-env", "TARGETPLATFORM": "linux/amd64"}
    assert scope.shown(config) == ["A=given", "C=given-env", "TARGETPLATFORM=linux/amd64"]
    assert scope.hidden(config) == ["HTTP_PROXY=p"]
    assert arguments.unused() == ["NEVER"]

"""Which stages a target needs: the Dockerfiles of tests/golden/dockerfiles/ok, recorded in graphs.json (SCOW_TEST_RECORD=1)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from scow.build import graph
from scow.build.frontend import parser
from scow.build.scope import Arguments, outer
from scow.errors import InvalidArgument
from scow.oci.platform import Platform

GOLDEN = Path(__file__).parents[2] / "golden/dockerfiles"
OK = sorted((GOLDEN / "ok").glob("*.dockerfile"))


def plan(text: str, target: str = "") -> graph.Plan:
    file = parser.parse(text)
    arguments = Arguments({}, Platform.parse("linux/amd64"))
    return graph.plan(file, target, outer(arguments, file.arguments, file.escape), [("l", "v")])


def shape(text: str) -> Any:
    try:
        found = plan(text)
    except InvalidArgument as error:
        return error.message
    stages = {
        str(index): {
            "image": planned.image,
            "first": planned.first,
            "steps": len(planned.commands) + 1,
            **({"start": planned.start} if planned.start is not None else {}),
        }
        for index, planned in found.stages.items()
    }
    return {"target": found.target, "steps": found.steps, "stages": stages}


def test_every_dockerfile_has_its_graph() -> None:
    found = {path.stem: shape(path.read_bytes().decode()) for path in OK}
    expected = GOLDEN / "graphs.json"
    if os.environ.get("SCOW_TEST_RECORD"):
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(expected.read_text())


STAGES = """\
FROM a AS base
FROM base AS left
FROM b AS right
FROM c AS unused
FROM scratch
COPY --from=left /x /
RUN --mount=from=2,target=/y z
"""


def test_only_what_a_target_needs_is_in_the_graph() -> None:
    assert sorted(plan(STAGES).stages) == [0, 1, 2, 4]
    assert sorted(plan(STAGES, "LEFT").stages) == [0, 1]
    assert sorted(plan(STAGES, "3").stages) == [3]
    whole = plan(STAGES)
    assert [whole.stages[index].first for index in sorted(whole.stages)] == [1, 2, 3, 4] and whole.steps == 7


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("FROM a", "x", 'target stage "x" could not be found'),
        ("FROM a", "9" * 5000, f'target stage "{"9" * 5000}" could not be found'),
        ("FROM a AS x\nFROM b AS X", "", "x stage name already used"),
        ("ARG x\nFROM ${x}", "", "base name (${x}) should not be blank"),
    ],
)
def test_what_has_no_graph(text: str, target: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        plan(text, target)
    assert caught.value.message == message


def test_a_name_is_free_again_behind_the_target() -> None:
    assert plan("FROM a AS x\nFROM b AS x", "0").target == 0

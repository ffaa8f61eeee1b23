"""Our output beside what Docker's CLI printed for the same answers (tests/golden/cli/record makes expected.json)."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scow.cli.main import main
from tests.golden.cli.canned import HERE, CannedDaemon, load_answers

EXPECTED = json.loads((HERE / "expected.json").read_text())
PASSING = re.compile(r"\d+ (years|months|weeks|days) ago|0xc000[0-9a-f]{6}|^S(?=Run 'docker)", re.MULTILINE)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("golden") / "s"
    canned = CannedDaemon(str(path), load_answers())
    yield str(path)
    canned.close()


@pytest.mark.parametrize("case", EXPECTED, ids=[" ".join(case["argv"])[:70] for case in EXPECTED])
def test_output_is_dockers(
    case: dict[str, Any],
    daemon: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("posix.environ", {b"HOME": str(tmp_path).encode(), b"DOCKER_HOST": f"unix://{daemon}".encode()})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    code = main(["docker", *case["argv"]])
    out, err = capfd.readouterr()
    assert (code, PASSING.sub("", out), PASSING.sub("", err)) == (
        case["rc"],
        PASSING.sub("", case["out"]),
        PASSING.sub("", case["err"]),
    )

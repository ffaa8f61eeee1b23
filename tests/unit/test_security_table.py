"""docs/security.md tells the truth: each weakness of a row is named by a test, and each test that a row names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
_NUMBER = re.compile(r"CVE[-_](\d{4}[-_]\d+)", re.IGNORECASE)
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (ROOT / "docs" / "security.md").read_text().splitlines()
    if line.startswith("| CVE-")
]


@pytest.fixture(scope="module")
def named() -> set[str]:
    """The numbers in all tests but this one."""
    found: set[str] = set()
    for path in TESTS.rglob("*.py"):
        found |= {number.replace("_", "-") for number in _NUMBER.findall(path.read_text())}
    return found


def test_every_weakness_has_a_test_that_names_it(named: set[str]) -> None:
    assert len(ROWS) > 20
    missing = [number for row in ROWS for number in _NUMBER.findall(row[0]) if number not in named]
    assert not missing


def test_the_tests_of_a_row_are_there() -> None:
    names = {path.name for path in TESTS.rglob("*.py")}
    for row in ROWS:
        for text in re.findall(r"`([\w/]+\.py)`", row[2]):
            assert text.rpartition("/")[2] in names, row
            assert "/" not in text or (TESTS / text).exists() or (ROOT / text).exists(), row

"""`scow build --check`, and the lines that a refused build shows."""

from typing import Any

import pytest

from scow.cli import build_check
from scow.cli.command import Exit
from scow.client.api import ApiError


class Session:
    """A daemon that has one image."""

    def __init__(self) -> None:
        self.client = self

    def get(self, path: str) -> Any:
        if path != "/images/java/json":
            raise ApiError(404, "No such image")
        return {"Os": "linux", "Architecture": "arm64", "Config": {"Env": ["JAVA_HOME=/j"]}}


def check(text: str, ignore: str | None = None, platform: str = "") -> int:
    return build_check.check(Session(), text, "Dockerfile", ignore, platform)  # type: ignore[arg-type]


def test_nothing_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    assert check("FROM java\nCOPY $JAVA_HOME a /\nFROM unknown\nCOPY $ANY /\n") == 0
    assert capfd.readouterr().out == "Check complete, no warnings found.\n"


def test_findings_are_shown_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    assert check("FROM java\nCOPY a $HOME /\n", "a\n", "linux/amd64") == 1
    out = capfd.readouterr().out
    assert [line for line in out.split("\n") if line.startswith("WARNING: ")] == [
        f"WARNING: {rule} - https://docs.docker.com/go/dockerfile/rule/{page}/"
        for rule, page in (
            ("InvalidBaseImagePlatform", "invalid-base-image-platform"),
            ("UndefinedVar", "undefined-var"),
            ("CopyIgnoredFile", "copy-ignored-file"),
        )
    ]
    assert out.endswith("\nCheck complete, 3 warnings have been found!\n")


def test_a_file_may_call_findings_errors() -> None:
    with pytest.raises(Exit) as caught:
        check("# check=error=true\nFROM a\nCMD b\n")
    assert caught.value.message == "ERROR: lint violation found for rules: JSONArgsRecommended"


@pytest.mark.parametrize(
    ("text", "ignore", "start"), [("FRM a", None, "Dockerfile:1\n"), ("FROM a", "[", ".dockerignore: ")]
)
def test_what_cannot_be_read_is_refused(text: str, ignore: str | None, start: str) -> None:
    with pytest.raises(Exit) as caught:
        check(text, ignore)
    assert caught.value.code == 1 and caught.value.message.startswith(start)


def test_the_place_of_an_error() -> None:
    assert (
        build_check.place("FROM a\nRUNN b\n", "x") == "x:2\n     1 | FROM a\n>    2 | RUNN b\n       | ^^^^\n     3 |"
    )
    assert build_check.place("FROM a\n", "x") == ""

"""Dockerfile text to typed commands."""

import pytest

from scow.build.frontend import commands, parser
from scow.build.frontend.errors import DockerfileError


def one(text: str) -> commands.Command:
    return parser.parse(f"FROM a\n{text}\n").stages[0].commands[0]


def test_stages_have_names_and_global_arguments_stand_before_them() -> None:
    found = parser.parse("ARG V=1\nFROM a:$V AS Base\nRUN x\nFROM --platform=$P Base\n")
    assert found.arguments == (commands.Arg(1, "ARG V=1", (("V", "1"),)),)
    assert [(stage.index, stage.name, stage.start.image) for stage in found.stages] == [
        (0, "base", "a:$V"),
        (1, "", "Base"),
    ]
    assert found.stages[0].start.name == "Base" and found.stages[1].start.platform == "$P"
    assert found.stages[0].commands == (commands.Run(3, "RUN x", ("x",), True),)


def test_lines_are_joined_and_comments_between_them_are_gone() -> None:
    found = one("RUN a \\\n  # no\n  b \\ \n c")
    assert found == commands.Run(2, "RUN a   b  c", ("a   b  c",), True)


def test_the_escape_directive_makes_the_backtick_go_on() -> None:
    found = parser.parse("# escape=`\nFROM a\nRUN dir C:\\ `\n b\n")
    assert found.escape == "`" and found.stages[0].commands[0].text == "RUN dir C:\\  b"


def test_a_document_ends_at_its_word() -> None:
    found = one("RUN <<EOF cat >/x\n a\nEOF\nRUN b")
    assert isinstance(found, commands.Run) and found.heredocs == (commands.Heredoc("EOF", " a\n", True, False),)
    copied = one("COPY <<-'A' <<B c /d/\n\tx\n\tA\ny\nB")
    assert isinstance(copied, commands.Copy) and copied.sources == ("c",) and copied.target == "/d/"
    assert copied.heredocs == (commands.Heredoc("A", "\tx\n", False, True), commands.Heredoc("B", "y\n", True, False))


def test_an_exec_form_has_no_document() -> None:
    assert one('RUN ["cat", "<<EOF"]') == commands.Run(2, 'RUN ["cat", "<<EOF"]', ("cat", "<<EOF"), False)


def test_an_error_shows_the_place_the_line_and_the_word() -> None:
    with pytest.raises(DockerfileError) as caught:
        parser.parse("FROM a\nRUNN b\n", "x/Dockerfile")
    error = caught.value
    assert error.message == "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)"
    assert (error.file, error.line, error.word) == ("x/Dockerfile", 2, "RUNN")
    assert error.shown.split("\n") == [
        "x/Dockerfile:2", "     1 | FROM a", ">    2 | RUNN b", "       | ^^^^", "     3 |", error.message,
    ]  # fmt: skip

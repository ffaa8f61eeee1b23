"""Dockerfile text to typed commands."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.build.frontend import commands, heredocs, lint, parser
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


def test_empty_lines_inside_of_an_instruction_are_warned_of() -> None:
    assert parser.parse("FROM a\nRUN b \\\n\n c\nRUN d \\\n").warnings == (
        "[WARNING]: Empty continuation line found in: RUN b  c",
        "[WARNING]: Empty continuation lines will become errors in a future release.",
    )
    assert parser.parse("FROM a\nRUN d \\\n").warnings == ()


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


@pytest.mark.parametrize(
    ("line", "documents"),
    [
        ("cat <<A ${x}", 1),
        ("cat '${' <<A", 1),
        ("cat ${x <<A", 0),
        ("cat '<<A", 0),
        ("cat \\<<A", 0),
        ("cat 3<<A", 1),
        ("cat x<<A", 0),
    ],
)
def test_what_begins_a_document(line: str, documents: int) -> None:
    assert len(heredocs.starts(f"RUN {line}")) == documents


def test_an_error_shows_the_place_the_line_and_the_word() -> None:
    with pytest.raises(DockerfileError) as caught:
        parser.parse("FROM a\nRUNN b\n", "x/Dockerfile")
    error = caught.value
    assert error.message == "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)"
    assert (error.file, error.line, error.word) == ("x/Dockerfile", 2, "RUNN")
    assert error.shown.split("\n") == [
        "x/Dockerfile:2", "     1 | FROM a", ">    2 | RUNN b", "       | ^^^^", "     3 |", error.message,
    ]  # fmt: skip


def test_a_trigger_is_parsed_by_itself() -> None:
    assert parser.command("COPY a `b", escape="`") == commands.Copy(1, "COPY a `b", ("a",), "`b")
    with pytest.raises(DockerfileError, match="^unknown instruction: FOO"):
        parser.command("FOO x")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("RUN <<EOF\na\nEOF", ("a\n", False)),
        ("RUN <<-EOF\n\ta\n\tEOF", ("a\n", False)),
        ("RUN <<EOF\n#!/bin/x\nEOF", ("#!/bin/x\n", True)),
        ("RUN cat <<A <<B\n1\nA\n2\nB", ("cat <<A <<B\n1\nA\n2\nB", False)),
        ("RUN a", ("a", False)),
    ],
)
def test_what_a_document_executes(text: str, script: tuple[str, bool]) -> None:
    run = one(text)
    assert isinstance(run, commands.Run) and heredocs.script(run) == script


_TEXTS = st.lists(
    st.sampled_from(
        [
            *"ab\\`\"'#$[]{}<-= \t\n",
            "\n",
            "\nRUN ",
            "\nCOPY ",
            "\nENV ",
            "\nHEALTHCHECK ",
            "\nONBUILD ",
            "FROM a\n",
            "<<A",
            "\nA\n",
        ]
        + [
            "--mount=type=cache,target=",
            "--interval=",
            "# escape=",
            "# check=",
            '["a"',
            '"]',
            "CMD",
            "\r\n",
            "\ufeff",
            "\0",
            "é",
        ]
    ),
    max_size=30,
).map("".join)


@given(_TEXTS)
def test_any_text_is_a_dockerfile_or_refused(text: str) -> None:
    for whole in (text, f"FROM a\n{text}"):
        try:
            found = parser.parse(whole)
        except DockerfileError as error:
            assert error.message and error.shown.endswith(error.message)
            assert 0 <= error.line <= whole.count("\n") + 1
            continue
        assert {warning.rule for warning in lint.check(found, chosen=lint.Options())} <= set(lint.RULES)
        lines = [command.line for stage in found.stages for command in (stage.start, *stage.commands)]
        assert lines == sorted(set(lines)) and all(0 < line <= whole.count("\n") + 1 for line in lines)


_WORDS = st.text(alphabet="abc./_-1", min_size=1, max_size=8).filter(lambda word: not word.startswith("-"))
_NAMES = st.text(alphabet="abc_", min_size=1, max_size=6)
_COMMANDS = st.one_of(
    st.builds(
        lambda words: ("RUN " + " ".join(words), commands.Run, {"command": (" ".join(words),)}),
        st.lists(_WORDS, min_size=1),
    ),
    st.builds(
        lambda words: ("CMD " + json.dumps(words), commands.Cmd, {"command": tuple(words)}),
        st.lists(st.text(max_size=8)),
    ),
    st.builds(
        lambda sources, target: (
            f"COPY {' '.join(sources)} {target}",
            commands.Copy,
            {"sources": tuple(sources), "target": target},
        ),
        st.lists(_WORDS, min_size=1, max_size=4),
        _WORDS,
    ),
    st.builds(
        lambda pairs: (
            "ENV " + " ".join(f"{n}={v}" for n, v in pairs.items()),
            commands.Env,
            {"pairs": tuple(pairs.items())},
        ),
        st.dictionaries(_NAMES, _WORDS, min_size=1, max_size=4),
    ),
    st.builds(lambda path: (f"WORKDIR {path}", commands.Workdir, {"path": path}), _WORDS),
    st.builds(
        lambda content: (
            f"RUN <<END\n{content}END",
            commands.Run,
            {"heredocs": (commands.Heredoc("END", content, True, False),)},
        ),
        st.text(alphabet="ab \\#$\n", max_size=12).map(lambda text: text + "\n" if text else text),
    ),
)


@given(st.lists(_COMMANDS, max_size=6), st.lists(st.sampled_from(["", "# note", "  ", "\t# note"]), max_size=6))
def test_what_is_written_is_read_back(written: list[tuple[str, type, dict[str, object]]], between: list[str]) -> None:
    lines = ["FROM a"]
    for index, (text, _, _) in enumerate(written):
        lines.extend([*between[index : index + 1], text])
    found = parser.parse("\n".join(lines)).stages[0].commands
    assert [(type(command), command.text) for command in found] == [
        (kind, text.partition("\n")[0].strip()) for text, kind, _ in written
    ]
    for command, (_, _, fields) in zip(found, written, strict=True):
        assert {name: getattr(command, name) for name in fields} == fields

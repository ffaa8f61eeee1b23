"""The template engine as a whole: any text and any data end in output or a TemplateError. Words are golden-tested."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.cli.template.evaluate import evaluate
from scow.cli.template.functions import FUNCTIONS
from scow.cli.template.lexer import TemplateError, lex, parse_number
from scow.cli.template.parser import parse, unquote
from scow.cli.template.printing import float_text, print_format, quoted
from scow.cli.template.values import Duration, Number, Raw

DATA = Raw(
    {
        "S": "text", "N": Number("12"), "L": ["a", "b", None], "M": Raw({"k": "v", "n": None}), "T": True,
        "F": Raw({"deep": Raw({"er": ["x", Raw({})]})}), "Nil": None,
    }
)  # fmt: skip
WORDS = [
    "{{", "}}", "{{-", "-}}", " ", ".", ".S", ".L", ".M.k", ".N", ".F.deep.er", ".Nope", "$", "$x", ":=", "=", "|", "(", ")", ",",
    "if", "else", "end", "range", "with", "break", "continue", "define", "template", "block", "nil", "true", '"a"', "`r`", "'c'",
    "1", "-1.5", "0x1f", "/* c */", "text\n", "\\n", *sorted(FUNCTIONS),
]  # fmt: skip


def run(source: str) -> str:
    return evaluate(parse(source, FUNCTIONS), DATA)


@given(
    st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
    | st.lists(st.sampled_from(WORDS), max_size=14).map("".join)
)
def test_any_mix_of_words_renders_or_fails_cleanly(source: str) -> None:
    try:
        run(source)
    except TemplateError as error:
        assert str(error).startswith("template: :")


@given(st.text(max_size=40))
def test_any_text_renders_or_fails_cleanly(source: str) -> None:
    try:
        out = run(source)
    except TemplateError:
        return
    if "{{" not in source:
        assert out == source


@given(st.lists(st.sampled_from(WORDS), max_size=10).map("".join))
def test_tokens_are_pieces_of_the_source(source: str) -> None:
    try:
        tokens = list(lex(source))
    except TemplateError:
        return
    assert tokens[-1].kind == "eof"
    assert all(source.startswith(token.text, token.at) for token in tokens if token.kind != "text")


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("{{range $i, $e := .L}}{{$i}}{{$e}} {{end}}", "0a 1b 2<no value> "),
        ("{{range .M}}{{.}};{{end}}", "v;<no value>;"),
        ("{{range .Nil}}x{{else}}none{{end}}", "none"),
        ("{{with .F.deep}}{{len .er}}{{end}}", "2"),
        ("{{$x := 1}}{{range .L}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{if and .T (eq .S `text`)}}y{{end}}", "y"),
        ("{{/* c */ -}}  a", "a"),
        ("{{.N}} {{.Nil}} {{.M}}", "12 <no value> map[k:v n:<nil>]"),
        ('{{index .M "k"}}{{index .L 1}}', "vb"),
        ('{{define "t"}}<{{.}}>{{end}}{{template "t" .S}}', "<text>"),
        ("{{json .F}}", '{"deep":{"er":["x",{}]}}'),
        ("{{range .L}}{{if eq . `b`}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{print 1 2 `a` 3 4}}|{{println 1 `a`}}", "1 2a3 4|1 a\n"),
    ],
)
def test_output(source: str, out: str) -> None:
    assert run(source) == out


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    for source in ("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", "{{if 1}}" * 5000 + "{{end}}" * 5000):
        with pytest.raises(TemplateError):
            run(source)
    with pytest.raises(TemplateError, match="exceeded maximum template depth"):
        run('{{define "a"}}{{template "a"}}{{end}}{{template "a"}}')


@given(
    st.text(), st.lists(st.integers() | st.text() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
)
def test_printf_takes_anything(layout: str, arguments: list[object]) -> None:
    assert isinstance(print_format(layout, arguments), str)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_quoting_reads_back(text: str) -> None:
    assert unquote(quoted(text)[1:-1]) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back(value: float) -> None:
    assert float(float_text(value)) == value


@given(st.text(alphabet="0123456789xXobe._+-pP", max_size=8))
def test_numbers_are_numbers_or_none(text: str) -> None:
    value = parse_number(text)
    assert value is None or isinstance(value, int | float)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (2 * 10**6, "2ms"),
        (10**9, "1s"),
        (90 * 10**9, "1m30s"),
        (3600 * 10**9, "1h0m0s"),
    ],
)
def test_durations_print_as_go_prints_them(nanoseconds: int, text: str) -> None:
    assert str(Duration(nanoseconds)) == text

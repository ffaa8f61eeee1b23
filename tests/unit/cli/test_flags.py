"""The flag parser has pflag's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scow.cli.container_options import OPTIONS
from scow.cli.flags import FlagError, Flags, HelpWanted, boolean, integer, parse

TABLE = (
    ("all", "a", "bool", "", "x"),
    ("interactive", "i", "bool", "", "x"),
    ("tty", "t", "bool", "", "x"),
    ("on", "", "bool", "true", "x"),
    ("name", "n", "string", "", "x"),
    ("word", "", "string", "missing", "x"),
    ("publish", "p", "list", "", "x"),
    ("last", "l", "int", "-1", "x"),
    ("old-name", "", "=name", "", ""),
)


def read(*args: str, interspersed: bool = True) -> tuple[Flags, list[str]]:
    return parse(TABLE, args, interspersed)


def test_letters_run_together_and_values_stick() -> None:
    flags, rest = read("-it", "-p80:80", "-ap", "1:1", "-n=x", "img", "-ti=false", "--name", "y", "--publish=a=b")
    assert (flags.on("interactive"), flags.on("tty"), flags.on("all")) == (False, True, True)
    assert flags.items("publish") == ["80:80", "1:1", "a=b"]
    assert flags.text("name") == "y"
    assert rest == ["img"]


def test_defaults_and_changed() -> None:
    flags, _ = read("--on=0")
    assert not flags.on("on") and flags.changed("on")
    flags, _ = read()
    assert flags.on("on") and not flags.changed("on")
    assert (flags.text("word"), flags.number("last"), flags.items("publish")) == ("missing", -1, [])


def test_the_first_argument_ends_the_options_of_run() -> None:
    flags, rest = read("-i", "image", "-t", "--nosuch", interspersed=False)
    assert rest == ["image", "-t", "--nosuch"]
    assert not flags.on("tty")


def test_two_dashes_end_the_options_and_one_is_an_argument() -> None:
    flags, rest = read("-", "-a", "--", "-t", "--")
    assert rest == ["-", "-t", "--"]
    assert flags.on("all") and not flags.on("tty")


def test_another_spelling_sets_the_same_option() -> None:
    assert read("--old-name", "x")[0].text("name") == "x"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--nosuch"], "unknown flag: --nosuch"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-axt"], "unknown shorthand flag: 'x' in -xt"),
        (["--name"], "flag needs an argument: --name"),
        (["-an"], "flag needs an argument: 'n' in -an"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (["-t=x"], 'invalid argument "x" for "-t, --tty" flag: strconv.ParseBool: parsing "x": invalid syntax'),
        (["--last", "x"], 'invalid argument "x" for "-l, --last" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (["--on=\n"], 'invalid argument "\\n" for "--on" flag: strconv.ParseBool: parsing "\\n": invalid syntax'),
    ],
)
def test_errors(args: list[str], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        read(*args)
    assert str(caught.value) == message


def test_help() -> None:
    with pytest.raises(HelpWanted):
        read("--help")
    with pytest.raises(HelpWanted) as caught:
        read("-ah")
    assert caught.value.short


@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from([f"--{o[0]}" for o in OPTIONS] + [f"-{o[1]}" for o in OPTIONS if o[1]])
    )
)
def test_any_command_line_is_parsed_or_refused(args: list[str]) -> None:
    try:
        _, rest = parse(OPTIONS, args, interspersed=False)
    except (FlagError, HelpWanted):
        return
    assert rest == args[len(args) - len(rest) :]


@given(st.lists(st.tuples(st.sampled_from(["name", "publish"]), st.text())))
def test_values_come_through_as_they_are(pairs: list[tuple[str, str]]) -> None:
    flags, rest = read(*[part for name, value in pairs for part in (f"--{name}={value}",)])
    assert rest == []
    assert flags.items("publish") == [value for name, value in pairs if name == "publish"]
    names = [value for name, value in pairs if name == "name"]
    assert flags.text("name") == (names[-1] if names else "")


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_integers(value: int) -> None:
    assert integer(str(value)) == value
    assert integer(f"{'-' if value < 0 else ''}0x{abs(value):x}") == value


@pytest.mark.parametrize("text", ["", "x", "1x", "0x", "１", " 1", "1 ", "--1", "9" * 30, "1_", "+"])
def test_texts_that_are_no_integers(text: str) -> None:
    with pytest.raises(ValueError):
        integer(text)


def test_octal_and_bools() -> None:
    assert integer("010") == 8
    assert boolean("T") and not boolean("FALSE")


def test_the_options_table_has_no_doubles() -> None:
    longs = [option[0] for option in OPTIONS]
    letters = [option[1] for option in OPTIONS if option[1]]
    assert len(set(longs)) == len(longs) and len(set(letters)) == len(letters)
    assert all(option[2][1:] in longs for option in OPTIONS if option[2][0] == "=")

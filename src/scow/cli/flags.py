"""Command-line flags with the rules of Docker's CLI (those of pflag), driven by one table per command.

An option is a tuple `(long, short, kind, default, help)`. Kinds that start with `=` are other spellings of the option named
behind it. An option with an empty help text works but is not listed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Option = tuple[str, str, str, str, str]

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_INTEGERS = {"int": 63, "int64": 63, "uint16": 16, "uint64": 64}


# Lists whose items need no check: the usual ones shall not load the others' rules.
_UNCHECKED = frozenset(("cap-add", "cap-drop", "host", "log-opt", "publish", "security-opt", "tmpfs", "volume"))


class FlagError(Exception):
    """The command line is wrong; the message is pflag's."""


class ValueWanted(FlagError):
    """The last word is an option that needs a value behind it."""


class HelpWanted(Exception):
    """`--help` or `-h` was given; `short` tells that it was the deprecated `-h`."""

    def __init__(self, short: bool) -> None:
        super().__init__()
        self.short = short


class Flags:
    """The values of one command line by long option name."""

    __slots__ = ("_defaults", "_values")

    def __init__(self, options: Sequence[Option]) -> None:
        self._defaults = {option[0]: option for option in options}
        self._values: dict[str, Any] = {}

    def store(self, name: str, value: Any) -> None:
        """Sets a value, or appends it when it is a list."""
        if isinstance(value, list):
            self._values.setdefault(name, []).extend(value)
        else:
            self._values[name] = value

    def changed(self, name: str) -> bool:
        """Whether the option was given."""
        return name in self._values

    def on(self, name: str) -> bool:
        """A bool option."""
        value = self._values.get(name)
        return self._defaults[name][3] == "true" if value is None else bool(value)

    def text(self, name: str) -> str:
        """A string option."""
        value = self._values.get(name)
        return self._defaults[name][3] if value is None else str(value)

    def number(self, name: str) -> int:
        """An integer, size or duration option."""
        value = self._values.get(name)
        return int(self._defaults[name][3] or 0) if value is None else int(value)

    def items(self, name: str) -> list[Any]:
        """The values of an option that can be given several times, in order."""
        value = self._values.get(name)
        return list(value) if value is not None else []


def parse(options: Sequence[Option], args: Sequence[str], interspersed: bool) -> tuple[Flags, list[str]]:
    """Splits a command line into option values and positional arguments.

    Without `interspersed` the first positional argument ends the options. Raises FlagError or HelpWanted.
    """
    parser = _Parser(options)
    rest: list[str] = []
    queue = list(args)
    queue.reverse()
    while queue:
        arg = queue.pop()
        if arg == "--":
            rest += reversed(queue)
            break
        if len(arg) < 2 or arg[0] != "-":
            rest.append(arg)
            if not interspersed:
                rest += reversed(queue)
                break
        elif arg[1] == "-":
            parser.long(arg, queue)
        else:
            parser.short(arg, queue)
    return parser.flags, rest


class _Parser:
    def __init__(self, options: Sequence[Option]) -> None:
        self.flags = Flags(options)
        self.by_long = {option[0]: option for option in options}
        self.by_short = {option[1]: option for option in options if option[1]}

    def long(self, arg: str, queue: list[str]) -> None:
        name, equals, value = arg[2:].partition("=")
        if not name or name[0] == "-":
            raise FlagError(f"bad flag syntax: {arg}")
        option = self.by_long.get(name)
        if option is None:
            if name == "help":
                raise HelpWanted(False)
            raise FlagError(f"unknown flag: --{name}")
        if not equals:
            if option[2] == "bool":
                value = "true"
            elif queue:
                value = queue.pop()
            else:
                raise ValueWanted(f"flag needs an argument: --{name}")
        self.set(option, value)

    def short(self, arg: str, queue: list[str]) -> None:
        letters = arg[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self.by_short.get(letter)
            if option is None:
                if letter == "h":
                    raise HelpWanted(True)
                raise FlagError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
            if len(letters) > 1 and letters[0] == "=":
                value, letters = letters[1:], ""
            elif option[2] == "bool":
                value = "true"
            elif letters:
                value, letters = letters, ""
            elif queue:
                value = queue.pop()
            else:
                raise ValueWanted(f"flag needs an argument: '{letter}' in {arg}")
            self.set(option, value)

    def set(self, option: Option, text: str) -> None:
        given, kind = option, option[2]
        if kind[0] == "=":
            option = self.by_long[kind[1:]]
            kind = option[2]
        try:
            self.flags.store(option[0], convert(kind, option[0], text))
        except ValueError as error:
            shown = f"-{given[1]}, --{given[0]}" if given[1] else f"--{given[0]}"
            raise FlagError(f'invalid argument {go_quote(text)} for "{shown}" flag: {error}') from None


def convert(kind: str, name: str, text: str) -> Any:
    """The value of an option's text. Raises ValueError with Docker's reason."""
    if kind == "string":
        return text
    if kind == "bool":
        return boolean(text)
    if kind in _INTEGERS:
        return integer(text, _INTEGERS[kind], kind[0] == "u")
    if kind == "list" and name in _UNCHECKED:
        return [text]
    from scow.cli import values  # only when such an option is given

    return values.convert(kind, name, text)


def boolean(text: str) -> bool:
    """strconv.ParseBool."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {go_quote(text)}: invalid syntax")


def integer(text: str, bits: int = 63, unsigned: bool = False) -> int:
    """strconv.ParseInt or ParseUint with base 0: a prefix of 0x, 0o, 0b or 0 chooses the base."""
    function = "ParseUint" if unsigned else "ParseInt"
    digits = text[1:] if text[:1] in ("+", "-") and not unsigned else text
    base = 0
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_":
        base = 8
    try:
        if not digits[:1].isdigit() or not digits.replace("_", "").isalnum() or not digits.isascii():
            raise ValueError
        value = int(digits, base)
    except ValueError:
        raise ValueError(f"strconv.{function}: parsing {go_quote(text)}: invalid syntax") from None
    if text[0] == "-":
        value = -value
    low = 0 if unsigned else -(1 << bits)
    if not low <= value < (1 << bits):
        raise ValueError(f"strconv.{function}: parsing {go_quote(text)}: value out of range")
    return value


def go_quote(text: str) -> str:
    """Go's %q for a string."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    from scow.cli.template.printing import quoted

    return quoted(text)

"""What templates work on: JSON values, and views of them with the types that Docker's CLI gives them.

Python's str, bool, int, float, list, dict and None stand for Go's string, bool, int, float64, slice, map and nil interface.
The classes here stand for what JSON does not have.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class _NoValue:
    """A zero reflect.Value: prints as `<no value>`."""

    def __repr__(self) -> str:
        return "<no value>"


NO_VALUE = _NoValue()


class Number(str):
    """A number of untyped JSON as it was written (json.Number): a string to every function."""

    __slots__ = ()


class Int64(int):
    """A typed integer; only its type's name differs from a constant's."""


class Duration(Int64):
    """A time.Duration in nanoseconds; prints as 1m30s."""

    def __str__(self) -> str:
        nanoseconds = abs(int(self))
        if nanoseconds < 1000:
            return f"{'-' if self < 0 else ''}{nanoseconds}ns" if nanoseconds else "0s"
        if nanoseconds < 10**9:
            unit, scale = ("µs", 1000) if nanoseconds < 10**6 else ("ms", 10**6)
            return f"{'-' if self < 0 else ''}{_decimal(nanoseconds, scale)}{unit}"
        minutes, rest = divmod(nanoseconds, 60 * 10**9)
        hours, minutes = divmod(minutes, 60)
        text = f"{_decimal(rest, 10**9)}s"
        if hours or minutes:
            text = f"{minutes}m{text}"
        return ("-" if self < 0 else "") + (f"{hours}h{text}" if hours else text)


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    fraction = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)


class Raw(dict[str, object]):
    """A JSON object without types: a missing key is an error, as with `missingkey=error`."""


class Map(dict[str, object]):
    """A typed map. `nil` maps print like empty ones but are `null` in JSON; `element` is the value's zero.

    `key` names the key's type when it is not string: indexing with a string constant is an error then.
    """

    __slots__ = ("element", "key", "nil")

    def __init__(
        self, items: dict[str, object], element: object = NO_VALUE, key: str = "string", nil: bool = False
    ) -> None:
        super().__init__(items)
        self.element = element
        self.key = key
        self.nil = nil


class Slice(list[object]):
    """A typed slice; `element` is the element type's name."""

    __slots__ = ("element", "nil")

    def __init__(self, items: list[object], element: str, nil: bool = False) -> None:
        super().__init__(items)
        self.element = element
        self.nil = nil


class Pointer:
    """A typed pointer; `target` None is nil."""

    __slots__ = ("target", "to")

    def __init__(self, target: object, to: str) -> None:
        self.target = target
        self.to = to


class Time:
    """A time.Time, kept as it came; prints as Go's String."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        from scow.cli.moments import go_string

        return go_string(self.text)


class Opaque:
    """Something that only prints."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class Method:
    """A bound method of a row; called with the words that follow it in the template."""

    __slots__ = ("arity", "call", "name")

    def __init__(self, name: str, arity: int, call: Callable[..., object]) -> None:
        self.name = name
        self.arity = arity
        self.call = call


class Struct:
    """A Go struct: named fields, given on demand."""

    name = "struct"

    def field(self, name: str) -> object:
        """The field's or method's value; KeyError when there is none."""
        raise KeyError(name)

    def values(self) -> list[object]:
        """All fields in order."""
        return []

    def members(self) -> list[tuple[str, object]]:
        """Its members in JSON, in order."""
        return []


def type_name(value: object) -> str:
    """The Go type for error messages."""
    if isinstance(value, Number):
        return "json.Number"
    if isinstance(value, Int64):
        return "time.Duration" if isinstance(value, Duration) else "int64"
    if isinstance(value, Slice):
        return "[]" + value.element
    if isinstance(value, Struct):
        return value.name
    if isinstance(value, Pointer):
        return "*" + value.to
    if isinstance(value, Raw):
        return "map[string]interface {}"
    for kind, name in (
        (bool, "bool"), (str, "string"), (int, "int"), (float, "float64"), (list, "[]interface {}"),
        (dict, "map[string]string"), (Time, "time.Time"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return name
    return "<nil>" if value is None else "interface {}"


def truth(value: object) -> bool:
    """Go's template truth: false, 0, nil, and empty strings, slices and maps are false; structs are true."""
    if isinstance(value, Pointer):
        return value.target is not None
    if isinstance(value, Struct | Time):
        return True
    if value is NO_VALUE:
        return False
    return bool(value)

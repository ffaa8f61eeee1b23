"""The functions of templates: Go's own and those that Docker adds."""

from __future__ import annotations

from scow.cli.template.lexer import TemplateError
from scow.cli.template.printing import print_format, print_line, print_values, text_of
from scow.cli.template.values import NO_VALUE, Map, Number, Pointer, Slice, Struct, Time, truth, type_name
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class CallError(Exception):
    """A function refuses its arguments."""


class Function:
    """A function with the kinds of its arguments: any, string, int, []string; `rest` for a variadic tail."""

    __slots__ = ("call", "fixed", "rest")

    def __init__(self, call: Callable[..., object], fixed: str = "", rest: str = "") -> None:
        self.call = call
        self.fixed = fixed.split()
        self.rest = rest


def _go_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _basic(value: object) -> str:
    """The kind under which values compare; empty when they don't."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "string" if isinstance(value, str) else ""


def _is_nil(value: object) -> bool:
    return value is None or value is NO_VALUE or (isinstance(value, Pointer) and value.target is None)


def _eq(first: object, *rest: object) -> bool:
    if not rest:
        raise CallError("missing argument for comparison")
    for other in rest:
        if _basic(first) != _basic(other):
            if first is not NO_VALUE and other is not NO_VALUE:
                raise CallError("incompatible types for comparison")
            continue
        if _basic(first):
            if first == other:
                return True
        elif _is_nil(first) or _is_nil(other):
            if _is_nil(first) and _is_nil(other):
                return True
        elif isinstance(other, list | dict):
            raise CallError(f"non-comparable type {text_of(other)}: {type_name(other)}")
        elif first is other:
            return True
    return False


def _ne(first: object, second: object) -> bool:
    return not _eq(first, second)


def _lt(first: object, second: object) -> bool:
    left, right = _basic(first), _basic(second)
    if not left or not right or (left == right == "bool"):
        raise CallError("invalid type for comparison")
    if left != right:
        raise CallError("incompatible types for comparison")
    return first < second  # type: ignore[no-any-return,operator]


def _le(first: object, second: object) -> bool:
    return _lt(first, second) or _eq(first, second)


def _gt(first: object, second: object) -> bool:
    return not _le(first, second)


def _ge(first: object, second: object) -> bool:
    return not _lt(first, second)


def _index(value: object, *keys: object) -> object:
    for key in keys:
        value = _pointed(value, "index of nil pointer")
        if value is None or value is NO_VALUE:
            raise CallError("index of untyped nil")
        if isinstance(value, dict):
            value = _map_item(value, key)
        elif isinstance(value, str) and not isinstance(value, Number):
            data = _go_bytes(value)
            value = data[_position(key, len(data))]
        elif isinstance(value, list):
            value = value[_position(key, len(value))]
        else:
            raise CallError(f"can't index item of type {type_name(value)}")
    return value


def _map_item(value: dict[str, object], key: object) -> object:
    wanted = value.key if isinstance(value, Map) else "string"
    given = type_name(key)
    if not isinstance(key, str) or isinstance(key, Number) or wanted != "string":
        raise CallError(f"value has type {given}; should be {wanted}")
    if key in value:
        return value[key]
    return value.element if isinstance(value, Map) else None


def _position(key: object, length: int, inclusive: bool = False) -> int:
    if key is None or key is NO_VALUE:
        raise CallError("cannot index slice/array with nil")
    if isinstance(key, bool) or not isinstance(key, int):
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if key < 0 or key > length or (key == length and not inclusive):
        raise CallError(f"index out of range: {key}")
    return key


def _pointed(value: object, complaint: str) -> object:
    while isinstance(value, Pointer):
        if value.target is None:
            raise CallError(complaint)
        value = value.target
    return value


def _slice(value: object, *keys: object) -> object:
    if value is None or value is NO_VALUE:
        raise CallError("slice of untyped nil")
    if len(keys) > 3:
        raise CallError(f"too many slice indexes: {len(keys)}")
    text = isinstance(value, str) and not isinstance(value, Number)
    if text and len(keys) == 3:
        raise CallError("cannot 3-index slice a string")
    if not text and not isinstance(value, list):
        raise CallError(f"can't slice item of type {type_name(value)}")
    data = _go_bytes(value) if isinstance(value, str) else value
    size = len(data)  # type: ignore[arg-type]
    low = _position(keys[0], size, True) if keys else 0
    high = _position(keys[1], size, True) if len(keys) > 1 else size
    if low > high:
        raise CallError(f"invalid slice index: {low} > {high}")
    if isinstance(data, bytes):
        return data[low:high].decode("utf-8", "replace")
    part = data[low:high]  # type: ignore[index]
    return Slice(part, data.element) if isinstance(data, Slice) else part


def _len(value: object) -> int:
    value = _pointed(value, "len of nil pointer")
    if value is None or value is NO_VALUE:
        raise CallError("reflect: call of reflect.Value.Type on zero Value")
    if isinstance(value, str):
        return len(_go_bytes(value))
    if isinstance(value, list | dict):
        return len(value)
    raise CallError(f"len of type {type_name(value)}")


# -- text


def _joined(values: tuple[object, ...]) -> str:
    if len(values) == 1 and isinstance(values[0], str):
        return str(values[0])
    return print_values(["<no value>" if value is NO_VALUE else value for value in values])


_HTML = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _html(*values: object) -> str:
    return "".join(_HTML.get(char, char) for char in _joined(values))


_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def _js(*values: object) -> str:
    out = []
    for char in _joined(values):
        if char in _JS:
            out.append(_JS[char])
        elif ord(char) < 32 or (ord(char) > 126 and not char.isprintable()):
            out.append(f"\\u{ord(char):04X}")
        else:
            out.append(char)
    return "".join(out)


def _urlquery(*values: object) -> str:
    safe = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
    out = []
    for byte in _go_bytes(_joined(values)):
        char = chr(byte)
        out.append("+" if char == " " else char if char in safe else f"%{byte:02X}")
    return "".join(out)


def plain(value: object) -> object:
    """The JSON value of a template value."""
    if isinstance(value, Struct):
        return {key: plain(item) for key, item in value.members()}
    if isinstance(value, Pointer):
        return None if value.target is None else plain(value.target)
    if isinstance(value, Time):
        return value.text
    if isinstance(value, Map):
        return None if value.nil else {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, Slice):
        return None if value.nil else [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Number):
        return int(value) if value.lstrip("-").isdigit() else float(value)
    return None if value is NO_VALUE else value


def to_json(value: object) -> str:
    """JSON as Docker's `json` function writes it: compact, HTML characters kept (but those of rows), text in UTF-8."""
    from scow.cli.listing import Row, json_line

    if isinstance(value, Row):
        return json_line(value)
    return readable(jsontext.encode(plain(value)).decode("ascii"))


def readable(text: str) -> str:
    r"""Turns \uXXXX escapes above ASCII back into characters, as Go writes them."""
    if "\\u" not in text:
        return text
    out: list[str] = []
    at = 0
    while True:
        hit = text.find("\\", at)
        if hit < 0 or hit + 1 >= len(text):
            out.append(text[at:])
            return "".join(out)
        out.append(text[at:hit])
        if text[hit + 1] != "u":
            out.append(text[hit : hit + 2])
            at = hit + 2
            continue
        code, at = int(text[hit + 2 : hit + 6], 16), hit + 6
        if 0xD800 <= code < 0xDC00 and text.startswith("\\u", at):
            code = 0x10000 + ((code - 0xD800) << 10) + (int(text[at + 2 : at + 6], 16) - 0xDC00)
            at += 6
        keep = code < 0x20 or code in (0x2028, 0x2029) or 0xD800 <= code < 0xE000
        out.append(f"\\u{code:04x}" if keep else chr(code))


def _title(text: str) -> str:
    out, before = [], " "
    for char in text:
        starts = not (before.isalnum() or before in "_'")
        out.append(char.title() if starts and char.isalpha() else char)
        before = char
    return "".join(out)


def _pad(text: str, before: int, after: int) -> str:
    return " " * max(before, 0) + text + " " * max(after, 0) if text else text


def _truncate(text: str, length: int) -> str:
    data = _go_bytes(text)
    return text if len(data) < length else data[:length].decode("utf-8", "replace")


def _split(text: str, separator: str) -> Slice:
    parts = text.split(separator) if separator else list(text)
    return Slice(list(parts), "string")


def _refuse_call(*_: object) -> object:
    raise TemplateError("call is answered by the evaluator")


FUNCTIONS: dict[str, Function] = {
    "and": Function(lambda *values: values, "any", "any"),
    "call": Function(_refuse_call, "any", "any"),
    "eq": Function(_eq, "any", "any"),
    "ge": Function(_ge, "any any"),
    "gt": Function(_gt, "any any"),
    "html": Function(_html, "", "any"),
    "index": Function(_index, "any", "any"),
    "join": Function(lambda items, separator: separator.join(items), "[]string string"),
    "js": Function(_js, "", "any"),
    "json": Function(to_json, "any"),
    "le": Function(_le, "any any"),
    "len": Function(_len, "any"),
    "lower": Function(lambda text: text.lower(), "string"),
    "lt": Function(_lt, "any any"),
    "ne": Function(_ne, "any any"),
    "not": Function(lambda value: not truth(value), "any"),
    "or": Function(lambda *values: values, "any", "any"),
    "pad": Function(_pad, "string int int"),
    "print": Function(lambda *values: print_values(values), "", "any"),
    "printf": Function(lambda layout, *values: print_format(layout, values), "string", "any"),
    "println": Function(lambda *values: print_line(values), "", "any"),
    "slice": Function(_slice, "any", "any"),
    "split": Function(_split, "string string"),
    "title": Function(_title, "string"),
    "truncate": Function(_truncate, "string int"),
    "upper": Function(lambda text: text.upper(), "string"),
    "urlquery": Function(_urlquery, "", "any"),
}

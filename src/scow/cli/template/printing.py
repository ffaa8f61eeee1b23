"""Go's fmt for the values that templates meet: %v and its relatives."""

from __future__ import annotations

from scow.cli.template.values import NO_VALUE, Duration, Method, Number, Opaque, Pointer, Struct, Time, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORT = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quoted(text: str) -> str:
    """strconv.Quote."""
    out = []
    for char in text:
        if char in _SHORT:
            out.append(_SHORT[char])
        elif char.isprintable():
            out.append(char)
        elif 0xDC80 <= ord(char) <= 0xDCFF:
            out.append(f"\\x{ord(char) - 0xDC00:02x}")
        elif ord(char) < 128:
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return '"' + "".join(out) + '"'


def float_text(value: float) -> str:
    """%v of a float64: the shortest text that reads back, with an exponent below 1e-4 and from 1e6 on."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    digits = mantissa.replace(".", "").lstrip("-")
    point = (mantissa.lstrip("-") + ".").index(".") + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0") or "0"
    if stripped == "0":
        return "-0" if text[0] == "-" else "0"
    sign = "-" if value < 0 else ""
    power = point - 1
    if power < -4 or power >= 6:
        tail = f".{stripped[1:]}" if len(stripped) > 1 else ""
        return f"{sign}{stripped[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{stripped}"
    if point >= len(stripped):
        return sign + stripped + "0" * (point - len(stripped))
    return f"{sign}{stripped[:point]}.{stripped[point:]}"


def text_of(value: object, verb: str = "v", top: bool = True) -> str:
    """%v, or %s and %q applied to strings inside of composites."""
    if isinstance(value, str):
        return quoted(value) if verb == "q" else str(value)
    if value is None or isinstance(value, bool):
        return "<nil>" if value is None else "true" if value else "false"
    if isinstance(value, int):
        return str(value) if isinstance(value, Duration) else int.__str__(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, list | tuple):
        return "[" + " ".join(text_of(item, verb, False) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{text_of(key, verb, False)}:{text_of(value[key], verb, False)}" for key in sorted(value, key=str))
        return "map[" + " ".join(pairs) + "]"
    if isinstance(value, Struct):
        return "{" + " ".join(text_of(item, verb, False) for item in value.values()) + "}"
    if isinstance(value, Pointer):
        if value.target is None:
            return "<nil>"
        whole = top and isinstance(value.target, Struct)
        return "&" + text_of(value.target, verb, False) if whole else "0xc000012345"  # an address, if it matters
    if isinstance(value, Time | Opaque | Method):
        return str(value)
    return "<no value>" if value is NO_VALUE else str(value)


def print_values(values: Sequence[object]) -> str:
    """fmt.Sprint: a space between two operands neither of which is a string."""
    out: list[str] = []
    for index, value in enumerate(values):
        if index and not _is_string(value) and not _is_string(values[index - 1]):
            out.append(" ")
        out.append(text_of(value))
    return "".join(out)


def _is_string(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def print_line(values: Sequence[object]) -> str:
    """fmt.Sprintln."""
    return " ".join(map(text_of, values)) + "\n"


class _Spec:
    """One `%` directive."""

    __slots__ = ("flags", "precision", "verb", "width")

    def __init__(self) -> None:
        self.flags = ""
        self.width = 0
        self.precision = -1
        self.verb = ""


def print_format(layout: str, values: Sequence[object]) -> str:
    """fmt.Sprintf."""
    out: list[str] = []
    at, index = 0, 0
    while True:
        percent = layout.find("%", at)
        if percent < 0:
            out.append(layout[at:])
            break
        out.append(layout[at:percent])
        spec, at, index = _read_spec(layout, percent + 1, values, index)
        if not spec.verb:
            out.append("%!(NOVERB)")
            break
        if spec.verb == "%":
            out.append("%")
        elif index >= len(values):
            out.append(f"%!{spec.verb}(MISSING)")
        else:
            out.append(_format(spec, values[index]))
            index += 1
    if index < len(values):
        rest = ", ".join(
            "<nil>" if value is None else f"{type_name(value)}={text_of(value)}" for value in values[index:]
        )
        out.append(f"%!(EXTRA {rest})")
    return "".join(out)


def _read_spec(layout: str, at: int, values: Sequence[object], index: int) -> tuple[_Spec, int, int]:
    spec = _Spec()
    while layout[at : at + 1] and layout[at] in "+-# 0":
        spec.flags += layout[at]
        at += 1
    spec.width, at, index = _read_count(layout, at, values, index, 0)
    if spec.width < 0:
        spec.flags += "-"
        spec.width = -spec.width
    if layout[at : at + 1] == ".":
        spec.precision, at, index = _read_count(layout, at + 1, values, index, 0)
    spec.verb = layout[at : at + 1]
    return spec, at + 1, index


def _read_count(layout: str, at: int, values: Sequence[object], index: int, default: int) -> tuple[int, int, int]:
    if layout[at : at + 1] == "*":
        value = values[index] if index < len(values) else None
        return (value if isinstance(value, int) and abs(value) < 10**6 else default), at + 1, index + 1
    end = at
    while layout[end : end + 1] and layout[end] in "0123456789":
        end += 1
    return (min(int(layout[at:end]), 10**6) if end > at else default), end, index


def _format(spec: _Spec, value: object) -> str:
    body = _body(spec, value)
    if body is None:
        shown = "<nil>" if value is None else f"{type_name(value)}={text_of(value)}"
        return f"%!{spec.verb}({shown})"
    if "-" in spec.flags:
        return body.ljust(spec.width)
    if "0" in spec.flags and not isinstance(value, str | list | dict):
        sign = body[0] if body[:1] in ("+", "-") else ""
        return sign + body[len(sign) :].rjust(spec.width - len(sign), "0")
    return body.rjust(spec.width)


def _body(spec: _Spec, value: object) -> str | None:
    """The directive's text before padding; None when the verb does not fit the value."""
    verb = spec.verb
    if verb == "T":
        return "<nil>" if value is None else type_name(value)
    if verb == "v" and isinstance(value, str) and spec.precision >= 0:
        return value[: spec.precision]
    if verb == "v":
        return _signed(spec, value, text_of(value))
    if value is None:
        return None
    if isinstance(value, bool):
        return text_of(value) if verb == "t" else None
    if isinstance(value, str):
        return _string_body(spec, str(value))
    if isinstance(value, int):
        return _integer_body(spec, value)
    if isinstance(value, float):
        return _float_body(spec, value)
    if isinstance(value, list | tuple):
        parts = [_format(_without_width(spec), item) for item in value]
        return "[" + " ".join(parts) + "]"
    return text_of(value, verb) if verb in "sq" else None


def _without_width(spec: _Spec) -> _Spec:
    inner = _Spec()
    inner.verb, inner.precision = spec.verb, spec.precision
    return inner


def _signed(spec: _Spec, value: object, text: str) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "+" + text if number and "+" in spec.flags and text[0] != "-" else text


def _string_body(spec: _Spec, text: str) -> str | None:
    if spec.precision >= 0 and spec.verb in "sq":
        text = text[: spec.precision]
    if spec.verb == "s":
        return text
    if spec.verb == "q":
        return quoted(text)
    if spec.verb in "xX":
        raw = text.encode("utf-8", "surrogateescape")
        digits = raw.hex(" ") if " " in spec.flags else raw.hex()
        return digits.upper() if spec.verb == "X" else digits
    return None


def _integer_body(spec: _Spec, value: int) -> str | None:
    verb = spec.verb
    if verb == "c":
        return chr(value) if 0 <= value < 0x110000 else "\ufffd"
    if verb == "q":
        return "'" + quoted(chr(value))[1:-1] + "'" if 0 <= value < 0x110000 else "'\ufffd'"
    if verb == "U":
        return f"U+{value:04X}"
    bases = {"d": "d", "b": "b", "o": "o", "x": "x", "X": "X", "O": "o"}
    if verb not in bases:
        return None
    digits = format(abs(value), bases[verb])
    if spec.precision >= 0:
        digits = digits.rjust(spec.precision, "0")
    prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in spec.flags else ""
    if verb == "O":
        prefix = "0o"
    sign = "-" if value < 0 else "+" if "+" in spec.flags else " " if " " in spec.flags else ""
    return sign + prefix + digits


def _float_body(spec: _Spec, value: float) -> str | None:
    verb = spec.verb
    if verb not in "eEfFgG":
        return None
    if verb in "gG" and spec.precision < 0:
        text = float_text(value)
    else:
        text = format(value, f".{spec.precision if spec.precision >= 0 else 6}{verb.lower()}")
    if verb in "EG":
        text = text.upper()
    return _signed(spec, value, text)

"""What is wrong with a JSON text, in the words of Go's decoder, which clients and their tests know.

Only texts that the fast decoder refused come here. Linear, no recursion.
"""

from scow.errors import InvalidArgument

_SPACE = b" \t\r\n"
_MAX_DEPTH = 10_000
_ESCAPES = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\", 39: "\\'"}
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_DIGIT = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")


class Truncated(InvalidArgument):
    """The text ends too early."""


def value_end(data: bytes) -> int:
    """Where the first value of `data` ends; InvalidArgument with Go's sentence when there is no whole one."""
    at = _skip(data, 0)
    if at == len(data):
        raise Truncated("got EOF while reading request body")
    closers: list[int] = []
    while True:
        at = _skip(data, at)
        byte = _byte(data, at)
        if byte in b"{[":
            closers.append(byte)
            if len(closers) > _MAX_DEPTH:
                raise InvalidArgument("exceeded max depth")
            at = _skip(data, at + 1)
            if _byte(data, at) == byte + 2:  # "}" and "]" stand two behind their openers
                at = _close(data, at, closers)
            elif byte == ord("{"):
                at = _key(data, at)
                continue
            else:
                continue
        else:
            at = _close_all(data, _scalar(data, at), closers)
        if not closers:
            return at
        at += 1  # the comma
        if closers[-1] == ord("{"):
            at = _key(data, _skip(data, at))


def _close(data: bytes, at: int, closers: list[int]) -> int:
    closers.pop()
    return _close_all(data, at + 1, closers)


def _close_all(data: bytes, at: int, closers: list[int]) -> int:
    """After a value: the position of the comma that follows, or the end once nothing is open."""
    while closers:
        at = _skip(data, at)
        byte = _byte(data, at)
        if byte == ord(","):
            return at
        opener = closers[-1]
        if byte != opener + 2:
            raise _unexpected(byte, "after object key:value pair" if opener == ord("{") else "after array element")
        closers.pop()
        at += 1
    return at


def _key(data: bytes, at: int) -> int:
    byte = _byte(data, at)
    if byte != ord('"'):
        raise _unexpected(byte, "looking for beginning of object key string")
    at = _skip(data, _string(data, at))
    if _byte(data, at) != ord(":"):
        raise _unexpected(data[at], "after object key")
    return at + 1


def _scalar(data: bytes, at: int) -> int:
    byte = data[at]
    if byte == ord('"'):
        return _string(data, at)
    literal = _LITERALS.get(byte)
    if literal is not None:
        for index, wanted in enumerate(literal):
            found = _byte(data, at + index)
            if found != wanted:
                raise _unexpected(found, f"in literal {literal.decode()} (expecting '{chr(wanted)}')")
        return at + len(literal)
    if byte == ord("-") or byte in _DIGIT:
        return _number(data, at)
    raise _unexpected(byte, "looking for beginning of value")


def _string(data: bytes, at: int) -> int:
    at += 1
    while True:
        byte = _byte(data, at)
        if byte == ord('"'):
            return at + 1
        if byte < 0x20:
            raise _unexpected(byte, "in string literal")
        at += 1
        if byte == ord("\\"):
            escape = _byte(data, at)
            if escape not in b'bfnrt\\/"u':
                raise _unexpected(escape, "in string escape code")
            at += 1
            if escape == ord("u"):
                for _ in range(4):
                    if _byte(data, at) not in _HEX:
                        raise _unexpected(data[at], "in \\u hexadecimal character escape")
                    at += 1


def _number(data: bytes, at: int) -> int:
    if data[at] == ord("-"):
        at += 1
        if _byte(data, at) not in _DIGIT:
            raise _unexpected(data[at], "in numeric literal")
    if data[at] == ord("0"):
        at += 1
    else:
        at = _digits(data, at)
    if data[at : at + 1] == b".":
        at += 1
        if _byte(data, at) not in _DIGIT:
            raise _unexpected(data[at], "after decimal point in numeric literal")
        at = _digits(data, at)
    if data[at : at + 1] in (b"e", b"E"):
        at += 1
        if data[at : at + 1] in (b"+", b"-"):
            at += 1
        if _byte(data, at) not in _DIGIT:
            raise _unexpected(data[at], "in exponent of numeric literal")
        at = _digits(data, at)
    return at


def _digits(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in _DIGIT:
        at += 1
    return at


def _skip(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in _SPACE:
        at += 1
    return at


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise Truncated("unexpected EOF")
    return data[at]


def _unexpected(byte: int, where: str) -> InvalidArgument:
    if byte in _ESCAPES:
        shown = _ESCAPES[byte]
    elif chr(byte).isprintable():
        shown = chr(byte)  # as Go shows it: a byte above 127 as the character of that number
    else:
        shown = f"\\x{byte:02x}" if byte < 0x80 else f"\\u{byte:04x}"
    return InvalidArgument(f"invalid character '{shown}' {where}")

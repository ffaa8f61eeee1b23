"""Parameters of a query string, read as Docker reads them."""

from scow.errors import InvalidArgument

_HEX = frozenset("0123456789abcdefABCDEF")
_FALSE = frozenset({"", "0", "no", "false", "none"})
_MAX_FIELDS = 200
_MAX_INTEGER_DIGITS = 19


def decode(text: str, plus: bool = False) -> str:
    """Percent-decoding; with `plus`, + is a space. Bytes that are not UTF-8 become U+FFFD."""
    if plus and "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    first, *rest = text.split("%")
    out = [first.encode()]
    for part in rest:
        if len(part) < 2 or not _HEX.issuperset(part[:2]):
            raise InvalidArgument(f'invalid URL escape "%{part[:2]}"')
        out.append(bytes((int(part[:2], 16),)))
        out.append(part[2:].encode())
    return b"".join(out).decode("utf-8", "replace")


def parse(query: str) -> dict[str, list[str]]:
    """Every value of every name, in order."""
    values: dict[str, list[str]] = {}
    if not query:
        return values
    pairs = query.split("&", _MAX_FIELDS)
    if len(pairs) > _MAX_FIELDS:
        raise InvalidArgument(f"more than {_MAX_FIELDS} query parameters")
    for pair in pairs:
        if pair:
            name, _, value = pair.partition("=")
            values.setdefault(decode(name, True), []).append(decode(value, True))
    return values


def boolean(text: str) -> bool:
    """Docker's truth: everything but "", 0, no, false and none."""
    return text.strip().lower() not in _FALSE


def integer(text: str, call: str = "Atoi") -> int:
    """A decimal 64-bit number; the sentence is Go's strconv's."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits.isascii() or not digits.isdigit():
        raise InvalidArgument(f'strconv.{call}: parsing "{text}": invalid syntax')
    if len(digits) > _MAX_INTEGER_DIGITS or not -(2**63) <= int(text) < 2**63:
        raise InvalidArgument(f'strconv.{call}: parsing "{text}": value out of range')
    return int(text)


def moment(text: str) -> int:
    """`seconds[.fraction]` since 1970, as the clients send since and until, in nanoseconds; "" is 0."""
    if not text:
        return 0
    seconds, dot, fraction = text.partition(".")
    whole = integer(seconds, "ParseInt")
    if not dot:
        return whole * 1_000_000_000
    part = integer(fraction or "0", "ParseInt")
    scale = 9 - len(fraction)
    nanos: int = part * 10**scale if scale >= 0 else part // 10**-scale
    return whole * 1_000_000_000 + nanos

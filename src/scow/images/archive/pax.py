"""PAX extended headers: `length key=value newline` records (POSIX.1-2017, pax, "Extended Header")."""

from scow.images.archive.limits import InvalidArchive, shown

_DIGITS = frozenset(b"0123456789")
_KEPT_TIME = 1 << 62


def records(data: bytes) -> dict[str, bytes]:
    """The records in `data`; the last of a repeated key counts, an empty value is no value."""
    result: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 11)
        digits = data[position:space] if space > 0 else b""
        if not digits or not _DIGITS.issuperset(digits):
            if not data[position:].strip(b"\0"):
                break  # some writers pad with NULs and count the padding
            raise InvalidArchive("invalid PAX record: no length")
        end = position + int(digits)
        equals = data.find(b"=", space, end)
        if end > len(data) or equals < 0 or data[end - 1] != 0x0A or equals == space + 1:
            raise InvalidArchive("invalid PAX record: its length is wrong")
        key = data[space + 1 : equals].decode("utf-8", "surrogateescape")
        value = data[equals + 1 : end - 1]
        if value:
            result[key] = value
        else:
            result.pop(key, None)
        position = end
    return result


def integer(value: bytes, key: str) -> int:
    """A decimal number without sign."""
    if len(value) > 19 or not _DIGITS.issuperset(value):
        raise InvalidArchive(f"invalid PAX {key} {shown(value[:40])}")
    return int(value)


def nanoseconds(value: bytes, key: str) -> int:
    """A decimal time in seconds with an optional fraction, as nanoseconds rounded down."""
    negative = value.startswith(b"-")
    whole, _, fraction = value.removeprefix(b"-").partition(b".")
    if not whole or len(whole) > 12 or not _DIGITS.issuperset(whole) or not _DIGITS.issuperset(fraction):
        raise InvalidArchive(f"invalid PAX {key} {shown(value[:40])}")
    total = int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return max(-_KEPT_TIME, -total) if negative else min(total, _KEPT_TIME)

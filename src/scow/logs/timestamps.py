"""RFC 3339 times with nanoseconds, as Docker's log files and its API write them."""

import calendar
import time

_second = -1
_text = ""


def format_trimmed(ns: int) -> str:
    """Unix nanoseconds as UTC text, trailing zeros of the fraction dropped (the form in a log file)."""
    seconds, rest = divmod(ns, 1_000_000_000)
    if not rest:
        return _whole(seconds) + "Z"
    return f"{_whole(seconds)}.{rest:09d}".rstrip("0") + "Z"


def format_fixed(ns: int) -> str:
    """Unix nanoseconds as UTC text with nine digits of fraction (the form of `logs --timestamps`)."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{_whole(seconds)}.{rest:09d}Z"


def _whole(seconds: int) -> str:
    global _second, _text  # the same second is asked for again and again
    if seconds != _second:
        year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
        _text = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
        _second = seconds
    return _text


def parse(text: str) -> int:
    """Unix nanoseconds of an RFC 3339 text. ValueError when it is not one."""
    if len(text) < 20 or text[4] != "-" or text[7] != "-" or text[10] not in "Tt" or text[13] != ":" or text[16] != ":":
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    fields = (text[0:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19])
    if not all(field.isascii() and field.isdigit() for field in fields):
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second = (int(field) for field in fields)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    fraction, offset = _rest(text[19:], text)
    return (calendar.timegm((year, month, day, hour, minute, second)) - offset) * 1_000_000_000 + fraction


def _rest(rest: str, text: str) -> tuple[int, int]:
    """The fraction in nanoseconds and the zone's offset in seconds from what follows the whole seconds."""
    fraction = 0
    if rest[0] == ".":
        end = 1
        while end < len(rest) and rest[end] in "0123456789":
            end += 1
        digits = rest[1:end]
        if not digits:
            raise ValueError(f"not an RFC 3339 time: {text!r}")
        fraction = int(digits[:9].ljust(9, "0"))
        rest = rest[end:]
    if rest in ("Z", "z"):
        return fraction, 0
    if len(rest) == 6 and rest[0] in "+-" and rest[3] == ":" and (rest[1:3] + rest[4:6]).isdecimal() and rest.isascii():
        seconds = int(rest[1:3]) * 3600 + int(rest[4:6]) * 60
        return fraction, -seconds if rest[0] == "-" else seconds
    raise ValueError(f"not an RFC 3339 time: {text!r}")

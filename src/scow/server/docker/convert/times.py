"""Times as Docker writes them: RFC 3339 with as many decimals as needed, and "3 minutes ago" texts."""

import time

ZERO = "0001-01-01T00:00:00Z"
_NANO = 1_000_000_000


def rfc3339(ns: int, zero: str = ZERO) -> str:
    """UTC, trailing zeros of the fraction cut; 0 is Go's zero time."""
    if not ns:
        return zero
    seconds, fraction = divmod(ns, _NANO)
    t = time.gmtime(seconds)
    text = f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{text}.{fraction:09}".rstrip("0") + "Z" if fraction else text + "Z"


def rfc3339_seconds(ns: int) -> str:
    return rfc3339(ns - ns % _NANO)


def elapsed(ns: int) -> str:
    """A duration in words, one unit."""
    seconds = max(ns, 0) // _NANO
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    minutes = seconds // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    return f"{seconds // 3600 // 24 // 365} years"

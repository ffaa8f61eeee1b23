"""Times as Docker's CLI shows them: Go's formats, and how long ago."""

from __future__ import annotations

import time

_ZERO = -62135596800  # 0001-01-01T00:00:00Z


def go_string(text: str) -> str:
    """time.Time.String() of a UTC RFC 3339 text: `2024-01-02 03:04:05.6 +0000 UTC`."""
    date, _, clock = text.partition("T")
    if clock.endswith("Z"):
        return f"{date} {clock[:-1]} +0000 UTC"
    offset = clock[-6:].replace(":", "")
    return f"{date} {clock[:-6]} {offset} {offset}"


def local_string(seconds: int) -> str:
    """time.Unix(seconds, 0).String(): local time with offset and zone name."""
    moment = time.localtime(seconds)
    offset = moment.tm_gmtoff
    sign, offset = ("-", -offset) if offset < 0 else ("+", offset)
    zone = moment.tm_zone
    if not zone or zone[0] in "+-":
        zone = f"{sign}{offset // 3600:02d}"
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', moment)} {sign}{offset // 3600:02d}{offset % 3600 // 60:02d} {zone}"


def human_duration(seconds: float) -> str:
    """`About a minute`, `3 hours`, `2 weeks`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = int(seconds / 60)
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(seconds: float, now: float | None = None) -> str:
    """`3 hours ago`."""
    return human_duration((time.time() if now is None else now) - seconds) + " ago"


def go_fixed(seconds: int, nanoseconds: int) -> str:
    """RFC 3339 in local time with nine digits: `2024-01-02T03:04:05.000000006Z`."""
    moment = time.localtime(seconds)
    offset = moment.tm_gmtoff
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 3600:02d}:{abs(offset) % 3600 // 60:02d}" if offset else "Z"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{nanoseconds:09d}{zone}"

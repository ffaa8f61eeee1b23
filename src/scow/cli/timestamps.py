"""Points in time as users write them: seconds, a duration ago, RFC 3339 with parts left out."""

from __future__ import annotations

import time

from scow.cli.flags import go_quote

_WRONG = "failed to parse value as time or duration: "


def for_api(text: str, now: float | None = None) -> str:
    """The API's form (`seconds.nanoseconds`) of a user's text. Raises ValueError with Docker's sentence."""
    from scow.cli.values import duration

    try:
        ago = duration(text)
    except ValueError:
        pass
    else:
        moment = time.time() if now is None else now
        return str(int(moment - ago / 1e9))
    if "-" in text or ":" in text:
        parsed = parse(text)
        if parsed is None:
            raise ValueError(_WRONG + go_quote(text))
        return f"{parsed[0]}.{parsed[1]:09d}"
    seconds, dot, fraction = text.partition(".")
    if not seconds.isdigit() or (dot and not fraction.isdigit()):
        raise ValueError(_WRONG + go_quote(text))
    return text


def parse(text: str) -> tuple[int, int] | None:
    """(seconds, nanoseconds) of an RFC 3339 time; date, minutes, seconds and zone may be missing (local zone then)."""
    date, _, clock = text.partition("T")
    zone: int | None = None
    if clock.endswith("Z"):
        clock, zone = clock[:-1], 0
    elif len(clock) > 5 and clock[-6] in "+-" and clock[-3] == ":":
        clock, zone = _zone(clock)
    elif not clock and date.endswith("Z"):
        date, zone = date[:-1], 0
    clock, _, fraction = clock.partition(".")
    try:
        year, month, day = (int(part) for part in date.split("-"))
        parts = [int(part) for part in clock.split(":")] if clock else []
        nanoseconds = int(fraction[:9].ljust(9, "0")) if fraction else 0
    except ValueError:
        return None
    hour, minute, second = (*parts, 0, 0, 0)[:3]
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61 and len(parts) < 4):
        return None
    if zone is None:
        try:
            return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1))), nanoseconds
        except (OverflowError, ValueError):
            return None
    return days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone, nanoseconds


def _zone(clock: str) -> tuple[str, int | None]:
    hours, minutes = clock[-5:-3], clock[-2:]
    if not (hours.isdigit() and minutes.isdigit()):
        return clock, None
    offset = int(hours) * 3600 + int(minutes) * 60
    return clock[:-6], -offset if clock[-6] == "-" else offset


def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468

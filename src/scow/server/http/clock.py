"""The Date header, made once a second."""

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_made: tuple[int, bytes] = (0, b"")


def date_line() -> bytes:
    """`Date: …` with its line end (IMF-fixdate; names do not depend on the locale)."""
    global _made
    now = int(time.time())
    if _made[0] != now:
        _made = (now, format_date(now))
    return _made[1]


def format_date(seconds: int) -> bytes:
    t = time.gmtime(seconds)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"Date: {_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} {clock} GMT\r\n".encode()

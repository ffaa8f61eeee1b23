"""Go's durations, as HEALTHCHECK takes them."""

import re

from scow.errors import InvalidArgument

_PIECE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_LONGEST = (1 << 63) - 1


def nanoseconds(text: str) -> int:
    """`1m30s` in nanoseconds; InvalidArgument in the words of Go's time.ParseDuration."""
    quoted = f'"{text}"'
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest):
        match = _PIECE.match(rest, at)
        if match is None or len(match[1]) > 32:
            break
        if not match[2]:
            raise InvalidArgument(f"time: missing unit in duration {quoted}")
        if match[2] not in _UNITS:
            raise InvalidArgument(f'time: unknown unit "{match[2]}" in duration {quoted}')
        whole, _, fraction = match[1].partition(".")
        unit = _UNITS[match[2]]
        total += int(whole or "0") * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        at = match.end()
    if not rest or at < len(rest) or total > _LONGEST:
        raise InvalidArgument(f"time: invalid duration {quoted}")
    return sign * total

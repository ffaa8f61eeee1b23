"""Signal names and numbers as Docker's users write them: TERM, SIGTERM, 15, RTMIN+3."""

import re
import signal

from scow.errors import InvalidArgument

_REALTIME = re.compile(r"RT(MIN|MAX)(?:([+-])(\d{1,2}))?\Z")
_NAMES = {item.name.removeprefix("SIG"): int(item) for item in signal.Signals if item.name.startswith("SIG")}


def number(text: str) -> int:
    """1-64, or InvalidArgument."""
    word = text.strip().upper().removeprefix("SIG")
    if word.isascii() and word.isdecimal() and len(word) < 4:
        value = int(word)
    elif word in _NAMES:
        value = _NAMES[word]
    else:
        match = _REALTIME.match(word)
        if match is None:
            raise InvalidArgument(f"invalid signal: {text}")
        base = int(signal.SIGRTMIN if match[1] == "MIN" else signal.SIGRTMAX)
        offset = int(match[3] or 0)
        value = base - offset if match[2] == "-" else base + offset
        if not signal.SIGRTMIN <= value <= signal.SIGRTMAX:
            raise InvalidArgument(f"invalid signal: {text}")
    if not 0 < value <= 64:
        raise InvalidArgument(f"invalid signal: {text}")
    return value

"""Signal names and numbers as Docker's users write them: TERM, SIGTERM, 15, RTMIN+3."""

import re
import signal

from scow.errors import InvalidArgument

_REALTIME = re.compile(r"RT(MIN|MAX)(?:([+-])(\d{1,2}))?\Z")
_NAMES = {item.name.removeprefix("SIG"): int(item) for item in signal.Signals if item.name.startswith("SIG")}


_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}\Z")
_RESERVED = (32, 33)  # the C library's own


class UnknownSignal(InvalidArgument):
    """A number that no signal of Linux has."""

    def __init__(self, value: int) -> None:
        super().__init__(f"the linux daemon does not support signal {value}")


def number(text: str) -> int:
    """1-64, or InvalidArgument (UnknownSignal for a number, except 0)."""
    word = text.strip().upper().removeprefix("SIG")
    if _DECIMAL.match(text):
        value = int(text)
        if value and (not 0 < value <= 64 or value in _RESERVED):
            raise UnknownSignal(value)
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
    if not value:
        raise InvalidArgument(f"invalid signal: {text}")
    return value

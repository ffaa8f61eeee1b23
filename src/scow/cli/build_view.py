"""The steps of a build side by side: events in, lines out. Pure; times are arguments, in seconds."""

from __future__ import annotations

import unicodedata
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TAIL = 6
_KEPT = 200
_LONGEST = 4096
_BLUE, _RED, _YELLOW, _END = "\x1b[34m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


class Step:
    """One step. `started`, `ended` in Unix seconds, 0 for not yet."""

    def __init__(self, name: str) -> None:
        self.name = clean(name)
        self.started = 0.0
        self.ended = 0.0
        self.cached = False
        self.error = ""
        self.log: deque[str] = deque(maxlen=_KEPT)
        self.rest = ""
        self.transfers: dict[str, tuple[str, int, int]] = {}

    @property
    def running(self) -> bool:
        return bool(self.started) and not self.ended

    def write(self, text: str) -> list[str]:
        """Output of the step; the lines that are complete now."""
        *lines, self.rest = (self.rest + text).split("\n")
        self.rest = self.rest[-_LONGEST:]
        lines = [clean(line.rstrip("\r").rpartition("\r")[2]) for line in lines]
        self.log.extend(lines)
        return lines


class View:
    """All steps of a build, in the order in which they began."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}

    def feed(self, message: dict[str, Any]) -> None:
        """A message of the daemon's; those that are not of steps are passed over."""
        for told in message.get("vertexes") or ():
            step = self.steps.setdefault(str(told.get("digest")), Step(str(told.get("name"))))
            step.started = step.started or moment(told.get("started"))
            step.ended = moment(told.get("completed"))
            step.cached = bool(told.get("cached"))
            step.error = clean(str(told.get("error") or ""))
        for told in message.get("logs") or ():
            written = self.steps.get(str(told.get("vertex")))
            if written is not None:
                written.write(decoded(told.get("data")))
        for told in message.get("statuses") or ():
            moving = self.steps.get(str(told.get("vertex")))
            if moving is not None and told.get("name"):
                numbers = (int(told.get("current") or 0), int(told.get("total") or 0))
                moving.transfers[clean(str(told.get("name")))] = (clean(str(told.get("id") or "")), *numbers)

    def cancel(self, now: float) -> None:
        """The build is over, whatever still ran."""
        for step in self.steps.values():
            if step.running:
                step.ended, step.error = now, "canceled"

    def failed(self) -> Step | None:
        return next((step for step in self.steps.values() if step.error and step.error != "canceled"), None)

    def lines(self, now: float, start: float, width: int, height: int, colour: bool) -> list[str]:
        """A frame of at most `height` lines (0: all) of at most `width` columns."""
        begun = sorted((step for step in self.steps.values() if step.started), key=lambda step: step.started)
        done = sum(bool(step.ended) for step in begun)
        over = bool(begun) and not any(step.running for step in begun) and height == 0
        word = "FINISHED" if over and not self.failed() else ""
        title = f"[+] Building {now - start:.1f}s ({done}/{len(self.steps)}){' ' + word if word else ''}"
        paint = _Paint(width, colour)
        rows: list[tuple[bool, str]] = []
        for step in begun:
            rows.append((step.running, paint.step(step, now)))
            if step.running:
                rows.extend((True, paint.under(text)) for text in _under(step))
        if height:
            rows = _fitting(rows, max(height - 1, 1))
        return [paint.title(title, bool(over or self.failed())), *(text for _, text in rows)]


class _Paint:
    def __init__(self, width: int, colour: bool) -> None:
        self._width = max(width, 20)
        self._colour = colour

    def title(self, text: str, over: bool) -> str:
        return self._in(_BLUE if over else "", cut(text, self._width))

    def step(self, step: Step, now: float) -> str:
        word = "CACHED " if step.cached else "CANCELED " if step.error == "canceled" else "ERROR " if step.error else ""
        time = f"{(step.ended or now) - step.started:.1f}s"
        text = cut(f" => {word}{step.name}", self._width - len(time) - 1)
        text += " " * (self._width - len(time) - columns(text)) + time
        colour = (
            _RED if step.error and step.error != "canceled" else _YELLOW if step.error else _BLUE if step.ended else ""
        )
        return self._in(colour, text)

    def under(self, text: str) -> str:
        return cut(f" => => {text}", self._width)

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_END}" if colour and self._colour else text


def _under(step: Step) -> list[str]:
    moving = [
        f"{name} {identity} {current / 1e6:.1f}MB / {total / 1e6:.1f}MB" if total else f"{name} {identity}"
        for name, (identity, current, total) in list(step.transfers.items())[-_TAIL:]
    ]
    waiting = [clean(step.rest.rpartition("\r")[2])] if step.rest else []
    return [*moving, *(f"# {line}" for line in [*step.log, *waiting][-_TAIL:])]


def _fitting(rows: list[tuple[bool, str]], most: int) -> list[tuple[bool, str]]:
    """The last rows; what runs goes before what is done."""
    excess = len(rows) - most
    kept = []
    for running, text in rows:
        if excess > 0 and not running:
            excess -= 1
        else:
            kept.append((running, text))
    return kept[-most:]


def clean(text: str) -> str:
    """On one line, and without anything that a terminal would act on."""
    if text.isascii() and text.isprintable():
        return text[:_LONGEST]
    found, skipping = [], False
    for letter in text[:_LONGEST]:
        if letter == "\x1b":
            skipping = True
        elif skipping:
            skipping = not letter.isalpha() and letter not in "\\~"
        elif letter in "\t\n":
            found.append(" ")
        elif letter.isprintable():
            found.append(letter)
    return "".join(found)


def columns(text: str) -> int:
    """How many a terminal takes for it."""
    if text.isascii():
        return len(text)
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int) -> str:
    """What of it goes into `width` columns."""
    if columns(text) <= width:
        return text
    taken = 0
    for at, letter in enumerate(text):
        taken += _columns(letter)
        if taken > width:
            return text[:at]
    return text


def redraw(before: list[str], lines: list[str], width: int) -> str:
    """What a terminal of `width` columns must be sent to have `lines` where `before` are, with the cursor below: it may have
    become narrower since, and have broken them.
    """
    rows = sum(max(1, -(-columns(clean(line)) // max(width, 1))) for line in before)
    text = f"\x1b[{rows}A\r" if rows else "\r"
    return text + "".join(f"\x1b[2K{line}\n" for line in lines) + "\x1b[J"


def moment(text: object) -> float:
    """Unix seconds of a time of RFC 3339 in UTC, 0 for none."""
    if not isinstance(text, str) or len(text) < 20:
        return 0.0
    import calendar

    try:
        fields = [int(text[at:end]) for at, end in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))]
        fraction = text[19:].rstrip("Z")
        return calendar.timegm((*fields, 0, 0, 0)) + (float(f"0{fraction}") if fraction else 0.0)
    except (ValueError, OverflowError):
        return 0.0


def decoded(data: object) -> str:
    """The text of a log's data, which is base64."""
    import binascii

    try:
        return binascii.a2b_base64(str(data or "")).decode("utf-8", "replace")
    except ValueError:
        return ""


class Plain:
    """The same, as lines one after the other: `#3 [2/4] RUN make`, `#3 0.5 text`, `#3 DONE 1.2s`."""

    def __init__(self) -> None:
        self._view = View()
        self._numbers: dict[str, int] = {}
        self._ended: set[str] = set()

    def feed(self, message: dict[str, Any]) -> str:
        """What a message adds."""
        found: list[str] = []
        logs = message.get("logs") or ()
        self._view.feed({**message, "logs": ()})
        for told in message.get("vertexes") or ():
            digest = str(told.get("digest"))
            step = self._view.steps[digest]
            if step.started and digest not in self._numbers:
                self._numbers[digest] = len(self._numbers) + 1
                found.append(f"\n#{self._numbers[digest]} {step.name}\n")
            if step.ended and digest not in self._ended:
                self._ended.add(digest)
                found += [f"#{self._numbers.get(digest, 0)} {line}\n" for line in _rest(step)]
                word = "CACHED" if step.cached else f"ERROR: {step.error}" if step.error else "DONE"
                time = "" if step.cached or step.error else f" {step.ended - step.started:.1f}s"
                found.append(f"#{self._numbers.get(digest, 0)} {word}{time}\n")
        for told in logs:
            digest = str(told.get("vertex"))
            written = self._view.steps.get(digest)
            if written is not None:
                after = moment(told.get("timestamp")) - written.started
                for line in written.write(decoded(told.get("data"))):
                    found.append(f"#{self._numbers.get(digest, 0)} {after:.3f} {line}\n")
        return "".join(found)


def _rest(step: Step) -> list[str]:
    return step.write("\n") if step.rest else []

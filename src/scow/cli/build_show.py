"""Shows the steps of a build while it goes on: a view that stays in place on a terminal, lines, or JSON as it comes."""

from __future__ import annotations

import time

from scow.cli.build_view import Plain, Step, View, redraw
from scow.cli.command import environment
from scow.cli.output import write_all
from scow.cli.progress import Progress
from scow.cli.terminal import is_terminal, size
from scow.client import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    class Source(Protocol):
        def values(self) -> Iterator[dict[str, Any]]: ...


MODES = ("auto", "plain", "tty", "quiet", "rawjson")
_ERR = 2
_EACH = 0.1
_TAIL = 20


def traced(mode: str, out: int) -> str:
    """How the steps are shown, "" for the classic dialogue: that is what `auto` is where nobody looks."""
    if mode == "auto":
        there = is_terminal(_ERR) and is_terminal(out) and environment("TERM") not in ("", "dumb")
        return "tty" if there else ""
    return "" if mode == "quiet" else mode


def show(mode: str, source: Source, out: int, loaded: Callable[[], str] | None, began: float) -> None:
    """Shows an answer to its end. ProgressError for an error in it. `loaded` tells what was sent as the context."""
    if mode == "rawjson":
        _raw(source)
    elif mode == "plain":
        _plain(source, loaded)
    else:
        _Terminal(began, loaded).show(source, out)


def _traced(message: dict[str, Any]) -> bool:
    return any(name in message for name in ("vertexes", "logs", "statuses"))


def _raw(source: Source) -> None:
    progress = Progress(0)
    for message in source.values():
        if _traced(message):
            write_all(_ERR, jsontext.encode(message) + b"\n")
        else:
            progress.feed(message)


def _plain(source: Source, loaded: Callable[[], str] | None) -> None:
    plain, progress = Plain(), Progress(0)
    if loaded is not None:
        write_all(_ERR, f"#0 [internal] load build context\n#0 transferring context: {loaded()} done\n".encode())
    for message in source.values():
        text = plain.feed(message) if _traced(message) else progress.feed(message)
        if text:
            write_all(_ERR, text.encode("utf-8", "replace"))


class _Terminal:
    """Each frame is one write that leaves the cursor below it at the start of a line, in no colour: whenever the program is
    ended, the terminal is as it was.
    """

    def __init__(self, began: float, loaded: Callable[[], str] | None) -> None:
        import threading

        self._began = began
        self._colour = not environment("NO_COLOR")
        self._view = View()
        self._before: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        if loaded is not None:
            step = self._view.steps["context"] = Step(f"[internal] load build context ({loaded()})")
            step.started, step.ended = began, time.time()

    def show(self, source: Source, out: int) -> None:
        progress, said = Progress(0), []
        self._thread.start()
        try:
            for message in source.values():
                if _traced(message):
                    with self._lock:
                        self._view.feed(message)
                else:
                    said.append(progress.feed(message))
        finally:
            self._over.set()
            self._thread.join()
            self._view.cancel(time.time())
            self._draw(whole=True)
            self._tell_failure()
        write_all(out, "".join(said).encode("utf-8", "replace"))

    def _tick(self) -> None:
        while not self._over.wait(_EACH):
            self._draw()

    def _draw(self, whole: bool = False) -> None:
        height, width = size(_ERR)
        width = width or 80
        with self._lock:
            most = 0 if whole else max((height or 24) - 1, 2)
            lines = self._view.lines(time.time(), self._began, width - 1, most, self._colour)
            text = redraw(self._before, lines, width)
            self._before = lines
        write_all(_ERR, text.encode("utf-8", "replace"))

    def _tell_failure(self) -> None:
        step = self._view.failed()
        if step is not None:
            log = [*step.log, *([step.rest] if step.rest else [])][-_TAIL:]
            lines = ["------", f" > {step.name}:", *log, "------", ""]
            write_all(_ERR, "\n".join(lines).encode("utf-8", "replace"))

"""The daemon's progress stream (pull, push, build, bootstrap) as lines, or as bars that stay in place on a terminal."""

from __future__ import annotations

from scow.cli.units import human_size
from scow.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BAR = 50


class ProgressError(Unavailable):
    """The stream told of an error: the daemon's message, and a status when it gave one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Progress:
    """Turns messages into what to write; pure. `width` 0 means that the output is no terminal."""

    def __init__(self, width: int = 0) -> None:
        self._width = width
        self._lines: dict[str, int] = {}

    def feed(self, message: dict[str, Any]) -> str:
        """The text for one message. Raises ProgressError for a message that carries an error."""
        detail = message.get("errorDetail")
        if detail or message.get("error"):
            detail = detail or {}
            raise ProgressError(int(detail.get("code") or 0), str(detail.get("message") or message.get("error")))
        if message.get("aux") is not None:
            return ""
        identity = str(message.get("id") or "")
        measured = message.get("progressDetail") is not None
        text = ""
        rise = 0
        if identity and (measured or message.get("progress")):
            if identity not in self._lines:
                self._lines[identity] = len(self._lines)
                text += "\n" if self._width else ""
            rise = len(self._lines) - self._lines[identity]
            text += f"\033[{rise}A" if self._width else ""
        else:
            self._lines = {}
        text += self._shown(message, identity, measured)
        if identity and self._width and rise:
            text += f"\033[{rise}B"
        return text

    def _shown(self, message: dict[str, Any], identity: str, measured: bool) -> str:
        bar = self._bar(message.get("progressDetail") or {}) if measured else ""
        stream = str(message.get("stream") or "")
        in_place = self._width > 0 and measured and not stream
        if bar and not in_place:
            return ""
        text = "\033[2K\r" if in_place else ""
        if identity:
            text += f"{identity}: "
        status = str(message.get("status") or "")
        if in_place:
            return f"{text}{status} {bar}\r"
        return text + stream if stream else f"{text}{status}\n"

    def _bar(self, detail: dict[str, Any]) -> str:
        current, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
        units = str(detail.get("units") or "")
        if current <= 0 and total <= 0:
            return ""
        shown = f"{human_size(current, 4):>8}" if not units else f"{current} {units}"
        if total <= 0:
            return shown
        half = min(int(current / total * 100) // 2, _BAR)
        text = ""
        if self._width > 110:
            text = f"[{'=' * half}>{' ' * (_BAR - half)}] "
        if detail.get("hidecounts"):
            return text
        if current > total:
            return text + shown
        limit = human_size(total, 4) if not units else f"{total} {units}"
        return f"{text}{shown}/{limit}" if not units else f"{text}{current}/{limit}"

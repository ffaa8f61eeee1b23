"""A pull's progress in Docker's words, thinned out: a byte count per layer at most ten times a second."""

import time
from collections.abc import Callable

from scow.model.transfer import PullProgress

Report = Callable[[PullProgress], None]
_INTERVAL = 0.1


class LayerProgress:
    """What one layer's bar shows. Several pulls may listen to one download."""

    def __init__(self, short_id: str, total: int) -> None:
        self._id = short_id
        self._total = total
        self._listeners: list[Report] = []
        self._last = 0.0
        self._current = 0

    def listen(self, report: Report) -> None:
        self._listeners.append(report)

    def status(self, text: str) -> None:
        self._send(PullProgress(text, self._id))

    def advance(self, size: int) -> None:
        """`size` more bytes have come."""
        self._current += size
        now = time.monotonic()
        if now - self._last >= _INTERVAL:
            self._last = now
            self._send(PullProgress("Downloading", self._id, self._current, self._total))

    def downloaded(self) -> None:
        self._send(PullProgress("Downloading", self._id, self._current, self._total))
        self.status("Verifying Checksum")
        self.status("Download complete")

    def extracting(self, current: int) -> None:
        self._send(PullProgress("Extracting", self._id, current, self._total))

    def _send(self, progress: PullProgress) -> None:
        for report in self._listeners:
            report(progress)

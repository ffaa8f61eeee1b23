"""A pull's progress in Docker's words, thinned out: a byte count per layer at most ten times a second."""

import time
from collections.abc import Callable

from scow.model.transfer import PullProgress, PushReport

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

    def again(self) -> None:
        """What has come was of no use."""
        self._current = 0

    def downloaded(self) -> None:
        self._send(PullProgress("Downloading", self._id, self._current, self._total))
        self.status("Verifying Checksum")
        self.status("Download complete")

    def extracting(self, current: int) -> None:
        self._send(PullProgress("Extracting", self._id, current, self._total))

    def _send(self, progress: PullProgress) -> None:
        for report in self._listeners:
            report(progress)


class UploadProgress:
    """What one layer's bar shows in a push; nothing for blobs without a name (configs)."""

    def __init__(self, short_id: str, total: int, report: PushReport) -> None:
        self._id = short_id
        self._total = total
        self._report = report
        self._last = 0.0

    def status(self, text: str) -> None:
        if self._id:
            self._report(PullProgress(text, self._id))

    def at(self, current: int) -> None:
        """So many bytes are on their way."""
        now = time.monotonic()
        if self._id and now - self._last >= _INTERVAL:
            self._last = now
            self._report(PullProgress("Pushing", self._id, current, self._total))

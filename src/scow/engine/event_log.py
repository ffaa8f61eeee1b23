"""The events on disk: one JSON line each, in a file of bounded size and its predecessor.

What is published is in the kernel's hands a moment later, so that a killed daemon loses nothing that was told a
millisecond before; a power cut may take the last seconds, and what is left of a line is skipped.
"""

import contextlib
import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO

import msgspec

from scow.model.event import Event

_log = logging.getLogger("scow.events")
_MAXIMUM = 8 << 20
_MAX_LINE = 1 << 20
_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


class EventLog:
    """Lifecycle: made, `append` from any thread, `recent` and `since` from any, `close` writes what waits.

    `maximum`: bytes of a file, of which there are two.
    """

    def __init__(self, path: str, maximum: int = _MAXIMUM) -> None:
        self._path = path
        self._maximum = maximum
        self._fd = -1
        self._size = 0
        self._broken = False
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        self._thread = threading.Thread(target=self._serve, name="events", daemon=True)
        self._thread.start()

    def append(self, event: Event) -> None:
        """Never blocks; a full disk loses events, and says so once."""
        self._queue.put(event)

    def recent(self, count: int) -> list[Event]:
        """The newest, oldest first. Blocks: for the start."""
        return list(_decoded(deque(self._lines(0), count)))

    def between(self, since: int, before: int) -> list[Event]:
        """Those from `since` to before `before` (ns), oldest first. Blocks: for a thread."""
        return [event for event in _decoded(self._lines(since)) if since <= event.time < before]

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(5)

    def _lines(self, since: int) -> Iterator[bytes]:
        with contextlib.ExitStack() as stack:
            streams: dict[int, BinaryIO] = {}
            for path in (self._path, self._path + ".1"):  # the newer first: a rotation in between hides nothing
                try:
                    stream = stack.enter_context(open(path, "rb"))
                except FileNotFoundError:
                    continue
                except OSError as error:
                    _log.warning("events in %s cannot be read: %s", path, error.strerror)
                    continue
                streams.setdefault(os.fstat(stream.fileno()).st_ino, stream)
            for source in reversed(streams.values()):
                if since and os.fstat(source.fileno()).st_mtime_ns < since:
                    continue  # nothing in it is as young
                try:
                    yield from iter(partial(source.readline, _MAX_LINE), b"")
                except OSError as error:
                    _log.warning("events in %s cannot be read: %s", self._path, error.strerror)

    # ------------------------------------------------------------ the writing thread

    def _serve(self) -> None:
        while True:
            event = self._queue.get()
            lines = []
            while event is not None:
                lines.append(_encoder.encode(event) + b"\n")
                try:
                    event = self._queue.get_nowait()
                except queue.Empty:
                    break
            try:
                self._write(b"".join(lines))
                self._broken = False
            except OSError as error:
                if not self._broken:
                    _log.error("events cannot be kept in %s: %s", self._path, error.strerror)
                self._broken = True
                self._close_file()
            if event is None:
                self._close_file()
                return

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o600)
            self._size = os.fstat(self._fd).st_size
            if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
                data = b"\n" + data  # after a line that a crash cut off
        if self._size and self._size + len(data) > self._maximum:
            os.rename(self._path, self._path + ".1")
            self._close_file()
            self._write(data)
            return
        view = memoryview(data)
        while view:
            done = os.write(self._fd, view)
            self._size += done
            view = view[done:]

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _decoded(lines: Iterable[bytes]) -> Iterator[Event]:
    """Those that are whole."""
    for line in lines:
        try:
            yield _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue

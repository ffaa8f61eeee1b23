"""A source that runs ahead of its reader, in a thread of its own: inflating and hashing beside unpacking.

Both leave the interpreter's lock most of the time (compression and hashing there, system calls here), so that two
processors are at work on one layer.
"""

import queue
import threading
from collections.abc import Callable

_DEPTH = 4  # chunks that may wait, each of up to a mebibyte


class Ahead:
    """Call it for the next chunk of `source`, b"" at the end; what the source raises comes out here, in its turn.

    `close` it in the end, whatever happened: afterwards nobody reads from the source any more.
    """

    def __init__(self, source: Callable[[], bytes]) -> None:
        self._source = source
        self._waiting: queue.Queue[bytes | BaseException] = queue.Queue(_DEPTH)
        self._stopped = False
        self._end: bytes | BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="inflate", daemon=True)
        self._thread.start()

    def __call__(self) -> bytes:
        item = self._waiting.get() if self._end is None else self._end
        if not item or isinstance(item, BaseException):
            self._end = item
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self._stopped = True
        try:
            while True:  # room for what the thread may be about to put
                self._waiting.get_nowait()
        except queue.Empty:
            pass
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            item: bytes | BaseException
            try:
                item = self._source()
            except BaseException as error:  # noqa: BLE001 - the reader's, who is in another thread
                item = error
            self._waiting.put(item)
            if not item or isinstance(item, BaseException):
                return

"""The drivers that a monitor writes a container's output with."""

from typing import Protocol

STDOUT = 1
STDERR = 2


class Driver(Protocol):
    """Records output. Lifecycle: made by `open_driver`, any number of `write`, one `close`.

    No method raises because of a full disk, a vanished directory or damaged files: a container's output goes on
    whether or not it can be recorded.
    """

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Record bytes of STDOUT or STDERR that were read at `now` (Unix nanoseconds)."""

    def close(self, now: int) -> None:
        """Record a last line that has no newline and release the files."""

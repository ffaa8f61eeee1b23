"""A bound on the times in an archive, so that it says nothing of when it was written."""

from dataclasses import dataclass

_SECOND = 1_000_000_000
BYTECODE = b".pyc"
_HEAD = 16


@dataclass(frozen=True, slots=True)
class Bound:
    """What is of `since` or later has the time `stamp` (Unix nanoseconds). `strict`: and so has what is younger than that."""

    stamp: int
    since: int
    strict: bool = False

    def of(self, mtime: int) -> int:
        return self.stamp if mtime >= self.since or self.strict and mtime > self.stamp else mtime

    def bytecode(self, data: bytes) -> bytes:
        """The first piece of a file of Python's bytecode. What has the time of its source in it (PEP 552: flags 0) must have
        the one that the source gets, or Python compiles it again at each start.
        """
        if len(data) < _HEAD or data[2:4] != b"\r\n" or any(data[4:8]):
            return data
        seconds = int.from_bytes(data[8:12], "little")
        stamp = self.stamp // _SECOND
        if seconds < self.since // _SECOND and not (self.strict and seconds > stamp):
            return data
        return data[:8] + (stamp & 0xFFFFFFFF).to_bytes(4, "little") + data[12:]

"""What an archive may cost at most. Every figure is counted while streaming (security invariant I-9)."""

from dataclasses import dataclass

from scow.errors import DataLoss, ResourceExhausted

CUT_OFF = "unexpected EOF"
"""Docker's words for an archive or a compressed stream that is cut off."""
BAD_HEADER = "archive/tar: invalid tar header"
"""And for what is none."""


class InvalidArchive(DataLoss):
    """The bytes are not an archive, or one that could be read in two ways."""


class ArchiveTooLarge(ResourceExhausted):
    """The archive costs more than the bounds allow."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one archive. Sizes in bytes.

    bytes: sum of what comes out of the decompressor. ratio: decompressed by compressed bytes, looked at once more than
    `ratio_floor` came out (gzip cannot do more than 1032, and whole images stay below 20).
    """

    entries: int = 2_000_000
    bytes: int = 64 << 30
    ratio: int = 400
    ratio_floor: int = 1 << 30
    name: int = 4096
    component: int = 255
    depth: int = 255
    extended_header: int = 1 << 20
    sparse_extents: int = 100_000


DEFAULT = Limits()


def shown(raw: bytes | memoryview | str) -> str:
    """What an archive has, in a message: quoted, and what is not printable escaped."""
    return repr(raw) if isinstance(raw, str) else repr(bytes(raw))[1:]

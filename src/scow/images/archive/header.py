"""The 512-byte block: POSIX ustar, old GNU and V7. Numbers are read strictly, in time linear in the block."""

from scow.images.archive.limits import InvalidArchive

BLOCK = 512
ZERO = bytes(BLOCK)
_OCTAL = frozenset(b"01234567")


def checksum_matches(block: bytes) -> bool:
    """Whether the header's checksum is right (unsigned, or signed as some old archivers summed)."""
    stored = number(block, 148, 8)
    total = sum(block) - sum(block[148:156]) + 256
    if total == stored:
        return True
    high = sum(1 for byte in block[:148] + block[156:] if byte > 127)
    return total - 256 * high == stored


def number(block: bytes, start: int, length: int) -> int:
    """A numeric field: octal digits ended by NUL or space, or base-256 when the first bit is set."""
    field = block[start : start + length]
    first = field[0]
    if first & 0x80:
        return _base256(field)
    text = field.strip(b" \0")
    if not text:
        return 0
    if not _OCTAL.issuperset(text):
        raise InvalidArchive(f"invalid number {bytes(field)[:24]!r} in a tar header")
    return int(text, 8)


def _base256(field: bytes) -> int:
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    if value >= 1 << 63:
        raise InvalidArchive("a number in a tar header does not fit 63 bits")
    return value


def text(block: bytes, start: int, length: int) -> bytes:
    """A text field: up to the first NUL."""
    field = block[start : start + length]
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


def is_posix(block: bytes) -> bool:
    """Whether the prefix field of the block is one (old GNU headers keep times there)."""
    return block[257:263] == b"ustar\0"

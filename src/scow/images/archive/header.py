"""The 512-byte block: POSIX ustar, old GNU and V7. Numbers are read strictly, in time linear in the block."""

from zlib import adler32

from scow.images.archive.limits import BAD_HEADER, InvalidArchive, shown

BLOCK = 512
ZERO = bytes(BLOCK)
_OCTAL = frozenset(b"01234567")
_ENDS = b"\0 "


def checksum_matches(block: bytes) -> bool:
    """Whether the header's checksum is right (unsigned, or signed as some old archivers summed)."""
    stored = number(block, 148, 8)
    # The low half of Adler-32 is 1 + the sum of the bytes, modulo 65521, which 256 bytes do not reach: exact, and fast.
    low, high = adler32(block[:256]) & 0xFFFF, adler32(block[256:]) & 0xFFFF
    total = low + high - 2 - sum(block[148:156]) + 256
    if total == stored:
        return True
    negative = sum(1 for byte in block[:148] + block[156:] if byte > 127)
    return total - 256 * negative == stored


def number(block: bytes, start: int, length: int) -> int:
    """A numeric field: octal digits ended by NUL or space, or base-256 when the first bit is set."""
    field = block[start : start + length]
    digits = field[:-1]
    if digits.isdigit() and field[-1] in _ENDS:  # nearly always
        try:
            return int(digits, 8)
        except ValueError:
            raise InvalidArchive(f"{BAD_HEADER}: the number {shown(field)}") from None
    if field[0] & 0x80:
        return _base256(field)
    text = field.strip(b" \0")
    if not text:
        return 0
    if not _OCTAL.issuperset(text):
        raise InvalidArchive(f"{BAD_HEADER}: the number {shown(field[:24])}")
    return int(text, 8)


def _base256(field: bytes) -> int:
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    if value >= 1 << 63:
        raise InvalidArchive(f"{BAD_HEADER}: a number that does not fit 63 bits")
    return value


def text(block: bytes, start: int, length: int) -> bytes:
    """A text field: up to the first NUL."""
    return block[start : start + length].partition(b"\0")[0]


def is_posix(block: bytes) -> bool:
    """Whether the prefix field of the block is one (old GNU headers keep times there)."""
    return block[257:263] == b"ustar\0"

"""Sparse files in archives: the old GNU header, and PAX formats 0.1 and 1.0 (GNU tar manual, "Sparse Formats")."""

from collections.abc import Callable

from scow.images.archive import header, pax
from scow.images.archive.header import BLOCK
from scow.images.archive.limits import ArchiveTooLarge, InvalidArchive, Limits

Extents = list[tuple[int, int]]
Take = Callable[[int], bytes]


def old_gnu(block: bytes, take: Take, limits: Limits) -> tuple[Extents, int]:
    """(extents, real size) of a type S entry; its further map blocks are taken from the archive."""
    real = header.number(block, 483, 12)
    extents = _pairs(block, 386, 4)
    more = block[482]
    while more:
        follow = take(BLOCK)
        extents.extend(_pairs(follow, 0, 21))
        more = follow[504]
        if len(extents) > limits.sparse_extents:
            raise ArchiveTooLarge(f"a sparse file has more than {limits.sparse_extents} extents")
    return _checked(extents, real, limits), real


def extended(records: dict[str, bytes], take: Take, stored: int, limits: Limits) -> tuple[Extents, int, int]:
    """(extents, real size, bytes of the stored content that were the map)."""
    version = (records.get("GNU.sparse.major", b""), records.get("GNU.sparse.minor", b""))
    if version == (b"1", b"0"):
        real = pax.integer(records.get("GNU.sparse.realsize", b""), "GNU.sparse.realsize")
        numbers, used = _leading_map(take, stored, limits)
    elif "GNU.sparse.map" in records:
        real = pax.integer(records.get("GNU.sparse.size", b""), "GNU.sparse.size")
        numbers = [pax.integer(part, "GNU.sparse.map") for part in records["GNU.sparse.map"].split(b",")]
        used = 0
    else:
        raise InvalidArchive("unsupported sparse format")
    if len(numbers) % 2 or len(numbers) > 2 * limits.sparse_extents:
        raise InvalidArchive("invalid sparse map")
    extents = list(zip(numbers[::2], numbers[1::2], strict=True))
    return _checked(extents, real, limits), real, used


def _pairs(block: bytes, start: int, count: int) -> Extents:
    pairs: Extents = []
    for index in range(count):
        position = start + 24 * index
        if not block[position]:
            break
        pairs.append((header.number(block, position, 12), header.number(block, position + 12, 12)))
    return pairs


def _leading_map(take: Take, stored: int, limits: Limits) -> tuple[list[int], int]:
    """The numbers of a 1.0 map: the count of pairs, then the pairs, one number a line, padded to a block."""
    numbers: list[int] = []
    wanted = -1
    rest = b""
    used = 0
    while wanted < 0 or len(numbers) < wanted:
        if used + BLOCK > stored:
            raise InvalidArchive("the sparse map is cut off")
        rest += take(BLOCK)
        used += BLOCK
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if wanted >= 0 and len(numbers) == wanted:
                break
            value = pax.integer(line, "sparse map") if line else -1
            if value < 0:
                raise InvalidArchive("invalid sparse map")
            if wanted < 0:
                wanted = 2 * value
                if value > limits.sparse_extents:
                    raise ArchiveTooLarge(f"a sparse file has more than {limits.sparse_extents} extents")
            else:
                numbers.append(value)
        if len(rest) > BLOCK:
            raise InvalidArchive("invalid sparse map")
    return numbers, used


def _checked(extents: Extents, real: int, limits: Limits) -> Extents:
    """Extents in order, apart, and within the file."""
    if not 0 <= real <= limits.bytes:
        raise ArchiveTooLarge(f"a sparse file of {real} bytes is larger than the {limits.bytes} allowed")
    end = 0
    for offset, length in extents:
        if offset < end or length < 0:
            raise InvalidArchive("a sparse map has extents out of order")
        end = offset + length
    if end > real:
        raise InvalidArchive("a sparse map reaches beyond its file")
    return extents

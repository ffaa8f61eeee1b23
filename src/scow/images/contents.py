"""The content of one file, from an archive to a descriptor. Holes are made where an archive says so, and where it has zeros."""

import os
from collections.abc import Iterator

from scow.images.archive.entry import Entry
from scow.images.archive.reader import TarReader

_BLOCK, _RUN = 4096, 16  # of file systems, and how many zero ones make a hole
_ZERO_BLOCK = bytes(_BLOCK)
_WITH_HOLES = 2 * _RUN * _BLOCK  # smaller files have none


def write(fd: int, entry: Entry, reader: TarReader) -> None:
    """Write the content of the entry at which `reader` stands into an empty file."""
    if entry.extents is not None:
        _write_sparse(fd, entry, reader)
    elif entry.size >= _WITH_HOLES:
        _write_holes(fd, entry.size, reader)
    else:
        for piece in reader.content():
            written = os.write(fd, piece)
            while written < len(piece):
                written += os.write(fd, piece[written:])


def _write_sparse(fd: int, entry: Entry, reader: TarReader) -> None:
    """Write the extents at their offsets; between them stay holes."""
    extents = iter(entry.extents or ())
    offset = left = 0
    for piece in reader.content():
        done = 0
        while done < len(piece):
            while not left:
                offset, left = next(extents)
            written = os.pwrite(fd, piece[done : done + left], offset)
            done += written
            offset += written
            left -= written
    os.ftruncate(fd, entry.size)


def _write_holes(fd: int, size: int, reader: TarReader) -> None:
    """Write the content but for long runs of zeros: most archives have a sparse file's holes as those."""
    offset = 0
    for piece in reader.content():
        done = 0
        for start, end in _zeros(piece, -offset % _BLOCK):
            _write_at(fd, piece[done:start], offset + done)
            done = end
        _write_at(fd, piece[done:], offset + done)
        offset += len(piece)
    os.ftruncate(fd, size)


def _zeros(piece: memoryview, first: int) -> Iterator[tuple[int, int]]:
    """Runs of zero blocks, counted from `first`: those of 64 KiB, and shorter ones at the ends, where they may go on."""
    count = (len(piece) - first) // _BLOCK
    marks = bytes(piece[first::_BLOCK])  # a look at one byte of each block spares nearly all of them
    index = marks.find(0, 0, max(count, 0))
    while index >= 0:
        end = index
        while end < count and piece[first + end * _BLOCK : first + (end + 1) * _BLOCK].tobytes() == _ZERO_BLOCK:
            end += 1
        if end - index >= _RUN or (end > index and (index == 0 or end == count)):
            yield first + index * _BLOCK, first + end * _BLOCK
        index = marks.find(0, max(end, index + 1), count)


def _write_at(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


def bounded_time(nanoseconds: int) -> int:
    """A time that ext4 can hold."""
    return min(max(nanoseconds, -(1 << 31) * 10**9), (1 << 34) * 10**9)

"""Where Python puts new objects: side by side.

A process that has imported much and thrown much away has holes in all its memory, and new objects go there first. What a
monitor uses or makes would be on many pages, each of which becomes the monitor's own for a few bytes. So the holes are
filled: before what monitors use is imported, and again before they are forked. An idle monitor needs a tenth less.
"""

_SIZES = range(16, 513, 16)
_POOL = 16 << 10
_FIRST = 48
"""CPython (3.10 to 3.13) keeps objects of up to 512 bytes in pools, each for one size. The first is behind a pool's header."""
_ROW = 8
"""A pool whose first objects come one after the other is new; a single one may be a hole."""
_MOST = 128 << 10
"""Bytes for each size: enough, and not much where the numbers above are wrong."""
_EMPTY = b"".__sizeof__()

_fillings: list[list[object]] = []


def fill_holes() -> None:
    """Put objects in the holes, for the life of this process: new ones of whatever size are then made in fresh pools."""
    made: list[object] = [None] * sum(_MOST // size for size in _SIZES)  # too large for a pool itself
    count = 0
    for size in _SIZES:
        row, before = 0, 0
        for _ in range(_MOST // size):
            made[count] = one = _make(size, count)
            count += 1
            place = id(one)
            row = 1 if place % _POOL == _FIRST else row + 1 if row and place == before + size else 0
            if row == _ROW:  # of a new pool: there was no hole left
                break
            before = place
    del made[count:]
    _fillings.append(made)


def _make(size: int, number: int) -> object:
    """A new object for pools of that size."""
    if size == 16:
        return object()
    if size == 32:
        return (1 << 20) + number
    return bytes(size - _EMPTY)

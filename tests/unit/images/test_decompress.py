"""Decompression of what archives and layers come in: whole, cut off, several streams, padding, garbage."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from scow.errors import ScowError
from scow.images.archive.limits import InvalidArchive
from scow.images.decompress import Decompressed

KINDS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress, "zstd": zstandard.compress}


def read(data: bytes, step: int = 7) -> bytes:
    chunks: Iterator[bytes] = iter([data[start : start + step] for start in range(0, len(data), step)])
    plain = Decompressed(lambda: next(chunks, b""))
    out = []
    while chunk := plain():
        out.append(chunk)
    return b"".join(out)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=3000), step=st.integers(1, 500))
def test_round_trip(kind: str, data: bytes, step: int) -> None:
    assert read(KINDS[kind](data), step) == data


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2"])
@given(parts=st.lists(st.binary(max_size=300), min_size=2, max_size=4), step=st.integers(1, 100))
def test_streams_one_behind_another(kind: str, parts: list[bytes], step: int) -> None:
    assert read(b"".join(KINDS[kind](part) for part in parts), step) == b"".join(parts)


@pytest.mark.parametrize("kind", ["xz", "bzip2"])
def test_padding_between_streams(kind: str) -> None:
    compress: Callable[[bytes], bytes] = KINDS[kind]
    assert read(compress(b"one") + bytes(8) + compress(b"two") + bytes(4)) == b"onetwo"


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2"])
def test_cut_off(kind: str) -> None:
    whole = KINDS[kind](b"something of some length" * 20)
    for end in range(7, len(whole)):
        with pytest.raises(InvalidArchive):
            read(whole[:end])


@pytest.mark.parametrize("kind", ["xz", "bzip2"])
def test_garbage_behind(kind: str) -> None:
    with pytest.raises(InvalidArchive):
        read(KINDS[kind](b"one") + b"garbage")


@pytest.mark.parametrize("kind", KINDS)
@given(place=st.integers(0, 10_000), value=st.integers(1, 255))
def test_damage_gives_an_error_of_ours(kind: str, place: int, value: int) -> None:
    data = bytearray(KINDS[kind](bytes(range(256)) * 4))
    data[place % len(data)] ^= value
    try:
        read(bytes(data), 64)
    except ScowError:
        pass

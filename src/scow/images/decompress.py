"""From compressed chunks to plain ones: gzip (ISA-L), zstd, xz, bzip2 and plain tar, told apart by their first bytes.

A source is a function that gives the next chunk, b"" at the end. What comes out is bounded while it streams: total
bytes and the ratio to what went in (CVE-2017-14992: archive bombs). Nothing is executed and no file is opened.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from scow.images.archive.limits import CUT_OFF, DEFAULT, ArchiveTooLarge, InvalidArchive, Limits

Source = Callable[[], bytes]

CHUNK = 1 << 20
_ZSTD_WINDOW = 128 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_XZ_MAGIC = b"\xfd7zXZ\x00"
_BZIP2_MAGIC = b"BZh"
_XZ_MEMORY = 128 << 20


class Decompressed:
    """A source of plain chunks (call it) that counts what passes, and hashes it unless it is not `hashed`."""

    def __init__(self, compressed: Source, limits: Limits = DEFAULT, *, hashed: bool = True) -> None:
        self._limits = limits
        self._hash = hashlib.sha256() if hashed else None
        self.bytes_in = 0
        self.bytes_out = 0
        self._compressed = compressed
        self._source = self._open()

    def __call__(self) -> bytes:
        chunk = self._source()
        if self._hash is not None:
            self._hash.update(chunk)
        self.bytes_out += len(chunk)
        limits = self._limits
        if self.bytes_out > limits.bytes:
            raise ArchiveTooLarge(f"the archive has more than {limits.bytes} bytes")
        if self.bytes_out > limits.ratio_floor and self.bytes_out > limits.ratio * self.bytes_in:
            raise ArchiveTooLarge(f"the archive grows more than {limits.ratio}-fold when it is decompressed")
        return chunk

    def digest(self) -> str:
        """sha256:… of the plain bytes so far: the DiffID once the source is at its end."""
        assert self._hash is not None
        return "sha256:" + self._hash.hexdigest()

    def _next_compressed(self) -> bytes:
        chunk = self._compressed()
        self.bytes_in += len(chunk)
        return chunk

    def _open(self) -> Source:
        start = b""
        while len(start) < len(_XZ_MAGIC):
            chunk = self._next_compressed()
            if not chunk:
                break
            start += chunk
        pending = [start]

        def source() -> bytes:
            return pending.pop() if pending else self._next_compressed()

        if start.startswith(_GZIP_MAGIC):
            return _Gzip(source)
        if start.startswith(_ZSTD_MAGIC) or _skippable(start):
            return _zstd(source)
        if start.startswith(_XZ_MAGIC):
            return _xz(source)
        if start.startswith(_BZIP2_MAGIC):
            return _bzip2(source)
        return source


def _skippable(start: bytes) -> bool:
    """A zstd skippable frame (0x184D2A5?), with which some writers begin."""
    return len(start) >= 4 and start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50


class _Gzip:
    """All members of a gzip stream. Memory is bounded: never more than CHUNK comes out at once."""

    def __init__(self, source: Source) -> None:
        from isal import igzip_lib  # with the first pull, not with the daemon

        self._library: Any = igzip_lib
        self._source = source
        self._rest = b""
        self._member = self._new()

    def _new(self) -> Any:
        return self._library.IgzipDecompressor(flag=self._library.DECOMP_GZIP)

    def __call__(self) -> bytes:
        try:
            while True:
                if self._member.eof and not self._next_member():
                    return b""
                chunk: bytes = self._member.decompress(self._input(), CHUNK)
                if chunk:
                    return chunk
        except self._library.IsalError as error:
            raise InvalidArchive(f"invalid gzip data: {error}") from None

    def _input(self) -> bytes:
        if not self._member.needs_input:
            return b""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        data = self._source()
        if not data:
            raise InvalidArchive(CUT_OFF)
        return data

    def _next_member(self) -> bool:
        """Go on to the member after this one; NULs at the end are padding, anything else is refused."""
        rest: bytes = self._member.unused_data or self._source()
        if not rest:
            return False
        if rest[0] == 0:
            while rest:
                if rest.strip(b"\0"):
                    raise InvalidArchive("garbage after the gzip data")
                rest = self._source()
            self._source = _nothing
            return False
        self._rest = rest
        self._member = self._new()
        return True


def _nothing() -> bytes:
    return b""


class _Stdlib:
    """Streams of lzma or bz2, one behind another. Memory is bounded: never more than CHUNK comes out at once."""

    def __init__(self, source: Source, new: Callable[[], Any], errors: tuple[type[Exception], ...], name: str) -> None:
        self._source = source
        self._new = new
        self._errors = errors
        self._name = name
        self._stream = new()

    def __call__(self) -> bytes:
        while True:
            data = b""
            if self._stream.eof:
                data = (self._stream.unused_data or self._source()).lstrip(b"\0")  # padding may stand between streams
                while not data:
                    more = self._source()
                    if not more:
                        return b""
                    data = more.lstrip(b"\0")
                self._stream = self._new()
            elif self._stream.needs_input:
                data = self._source()
                if not data:
                    raise InvalidArchive(CUT_OFF)
            try:
                chunk: bytes = self._stream.decompress(data, CHUNK)
            except self._errors as error:
                raise InvalidArchive(f"invalid {self._name} data: {error}") from None
            if chunk:
                return chunk


def _xz(source: Source) -> Source:
    import lzma

    return _Stdlib(
        source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), (lzma.LZMAError, EOFError), "xz"
    )


def _bzip2(source: Source) -> Source:
    import bz2

    return _Stdlib(source, bz2.BZ2Decompressor, (OSError, EOFError), "bzip2")


class _Readable:
    """A source as the object with `read` that zstandard wants."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rest = b""

    def read(self, size: int) -> bytes:
        data = self._rest or self._source()
        self._rest = data[size:]
        return data[:size]


def _zstd(source: Source) -> Source:
    import zstandard

    readable: Any = _Readable(source)
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
        readable, read_size=CHUNK, read_across_frames=True
    )

    def read() -> bytes:
        try:
            return reader.read(CHUNK)
        except zstandard.ZstdError as error:
            raise InvalidArchive(f"invalid zstd data: {error}") from None

    return read

"""A plain layer on its way to a gzip blob."""

import hashlib

from scow.images.blobs import Ingest
from scow.oci import media
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest

_PIECE = 1 << 20  # what comes out depends on how the input is cut: always into these


class Packer:
    """`feed` it the plain bytes, then `finish`; the same bytes give the same blob. The ingest stays the caller's."""

    def __init__(self, ingest: Ingest, level: int) -> None:
        """`level` of ISA-L's 0-3: 0 is slower than 1 and much larger, 2 and 3 gain next to nothing."""
        from isal import isal_zlib  # with the first layer, not with the daemon

        self._compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, 31)  # 31: a gzip header, with time 0
        self._hash = hashlib.sha256()
        self._size = 0
        self._ingest = ingest
        self._waiting = bytearray()

    def feed(self, chunk: bytes) -> None:
        waiting = self._waiting
        waiting += chunk
        while len(waiting) >= _PIECE:
            with memoryview(waiting) as whole, whole[:_PIECE] as piece:
                self._put(self._compressor.compress(piece))
            del waiting[:_PIECE]

    def finish(self) -> Descriptor:
        """What the blob is."""
        self._put(self._compressor.compress(bytes(self._waiting)))
        self._put(self._compressor.flush())
        return Descriptor(f"{media.OCI_LAYER}+gzip", Digest(f"sha256:{self._hash.hexdigest()}"), self._size)

    def _put(self, data: bytes) -> None:
        if data:
            self._hash.update(data)
            self._size += len(data)
            self._ingest.write(data)

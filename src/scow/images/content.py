"""A blob on its way out of the store, verified while it is read: a damaged one never goes out whole."""

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncGenerator

from scow.errors import Cancelled, DataLoss, NotFound
from scow.images.parts import Parts
from scow.oci.descriptor import Descriptor

_REMEDY = "run `scow system check --repair`"


class Content:
    """A blob of the store, read in threads a block ahead. `close` it in the end."""

    def __init__(self, parts: Parts, descriptor: Descriptor, block: int = 1 << 20) -> None:
        """`block` is the number of bytes that are read at once."""
        self._parts = parts
        self._descriptor = descriptor
        self._at_once = block
        self._hash = hashlib.new(descriptor.digest.algorithm)
        self._hashed = 0
        self._fd = -1
        self._reading = threading.Lock()  # a request that broke may leave a read behind, which goes on beside the next
        self._closed = False

    def close(self) -> None:
        """No more is read. Does not wait: a read that is under way closes the file when it is through."""
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                if self._fd >= 0:
                    os.close(self._fd)
                    self._fd = -1
            finally:
                self._reading.release()

    async def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from start to end. DataLoss before the last of the blob's bytes when it is damaged."""
        if not self._descriptor.size:  # nothing to send, and still to be verified
            await self._parts.run(self._block, 0, 0)
            return
        block = self._parts.submit(self._block, start, end)
        try:
            while start < end:
                data = await asyncio.shield(block)
                start += len(data)
                if start < end:
                    block = self._parts.submit(self._block, start, end)
                yield data
        finally:
            block.cancel()

    def _block(self, start: int, end: int) -> bytes:
        """One block; whatever comes before it has been hashed then."""
        try:
            with self._reading:
                while self._hashed < start:
                    self._take(self._piece(self._hashed, start), self._hashed)
                data = self._piece(start, end)
                self._take(data, start)
                return data
        finally:
            if self._closed:
                self.close()

    def _piece(self, start: int, end: int) -> bytes:
        if self._closed:
            raise Cancelled(f"the transfer of blob {self._descriptor.digest} was given up")
        if self._fd < 0:
            self._fd = self._open()
        return os.pread(self._fd, min(self._at_once, end - start), start)

    def _open(self) -> int:
        digest = self._descriptor.digest
        try:
            fd = os.open(self._parts.blobs.path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NotFound(f"blob {digest} is missing: {_REMEDY}") from None
        if os.fstat(fd).st_size != self._descriptor.size:
            os.close(fd)
            raise self._damaged()
        return fd

    def _take(self, data: bytes, start: int) -> None:
        if not data and self._descriptor.size:
            raise self._damaged()
        if start + len(data) >= self._hashed:
            self._hash.update(memoryview(data)[self._hashed - start :])
            self._hashed = start + len(data)
            if self._hashed == self._descriptor.size and self._hash.hexdigest() != self._descriptor.digest.hex:
                raise self._damaged()

    def _damaged(self) -> DataLoss:
        return DataLoss(f"blob {self._descriptor.digest} is damaged: {_REMEDY}")

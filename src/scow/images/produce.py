"""A layer made here: one pass over the tree gives the blob, its digests, and the directory that overlayfs will use.

    walk of the tree ─ tar ─┬─ sha256 (diff id), gzip, sha256 (digest), blob file      one thread
                            └─ archive reader, unpacker, layer directory               another

What is unpacked is what was archived, not the tree again: a container that is not paused cannot make the two differ.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from scow.errors import Cancelled
from scow.images.archive.limits import DEFAULT, InvalidArchive, Limits
from scow.images.archive.writer import Emit
from scow.images.blobs import BlobStore, Ingest
from scow.images.layer import unpack_into
from scow.images.packer import Packer
from scow.images.trees import Trees
from scow.images.unpack import Unpacked
from scow.oci.descriptor import Descriptor

_LEVEL = 1  # the fastest
_AHEAD = 8  # chunks of about a megabyte that wait between two threads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Produced:
    """A layer that is on disk but not visible yet. `directory` is its name in Trees.

    The caller holds its ids in the catalog, then commits `ingest` under the descriptor's digest; it closes it in any case.
    """

    descriptor: Descriptor
    diff_id: str
    directory: str
    unpacked: Unpacked
    ingest: Ingest


def produce(write: Callable[[Emit], None], blobs: BlobStore, trees: Trees, limits: Limits = DEFAULT) -> Produced:
    """Store the archive that `write` writes as a layer. Runs in a thread of the caller's; nothing is left on an error."""
    ingest = blobs.ingest()
    directory = trees.create()
    packing = _Lane("pack", lambda source: _pack(source, ingest))
    unpacking = _Lane("unpack", lambda source: unpack_into(trees.path(directory), source, limits))
    done = False

    def emit(chunk: bytes) -> None:
        packing.put(chunk)
        unpacking.put(chunk)

    try:
        write(emit)
        packed = packing.finish()
        unpacked = unpacking.finish()
        for name, target in unpacked.missing_links:  # our own writer makes none, a foreign archive can
            raise InvalidArchive(
                f"{os.fsdecode(name)!r} is a hard link to {os.fsdecode(target)!r}, which does not exist"
            )
        done = True
        return Produced(*packed, directory, unpacked, ingest)
    finally:
        packing.stop()
        unpacking.stop()
        if not done:
            ingest.close()
            trees.remove(directory)


def _pack(source: Callable[[], bytes], ingest: Ingest) -> tuple[Descriptor, str]:
    """Compress into a blob: (its descriptor, the diff id)."""
    packer, plain = Packer(ingest, _LEVEL), hashlib.sha256()
    while chunk := source():
        plain.update(chunk)
        packer.feed(chunk)
    return packer.finish(), f"sha256:{plain.hexdigest()}"


class _Lane(Generic[T]):
    """A thread that works on chunks; `put` from one other thread, then `finish`. `stop` ends it whatever happened."""

    def __init__(self, name: str, work: Callable[[Callable[[], bytes]], T]) -> None:
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, args=(work,), name=f"layer-{name}", daemon=True)
        self._thread.start()

    def put(self, chunk: bytes) -> None:
        """Hand over a chunk that is not empty; raises what the work has raised."""
        if self._error is not None:
            raise self._error
        self._chunks.put(chunk)

    def finish(self) -> T:
        """No more chunks: the work's result, or what it raised."""
        self._end(b"")
        if self._error is not None:
            raise self._error
        return self._results[0]

    def stop(self) -> None:
        """End the thread; the work gets Cancelled unless it has finished."""
        if not self._ended:
            self._end(None)

    def _end(self, mark: bytes | None) -> None:
        self._ended = True
        self._chunks.put(mark)
        self._thread.join()

    def _run(self, work: Callable[[Callable[[], bytes]], T]) -> None:
        over = False

        def source() -> bytes:
            nonlocal over
            chunk = b"" if over else self._chunks.get()
            if chunk is None:
                over = True
                raise Cancelled("the layer was given up")
            over = over or not chunk
            return chunk

        try:
            self._results.append(work(source))
        except BaseException as error:  # noqa: BLE001  raised again in the thread that hands over
            self._error = error
        while not over:  # whoever hands over must not wait for ever
            over = not self._chunks.get()

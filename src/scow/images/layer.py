"""One layer: compressed bytes in, a verified blob and a directory out. Runs in a worker thread, in one pass.

socket -> sha256, blob file -> decompressor -> sha256 -> archive reader -> unpacker. Nothing is visible to others until
digest, size and diff id have proven right; a failure leaves nothing.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from scow.errors import Cancelled, DataLoss, ScowError
from scow.images.ahead import Ahead
from scow.images.archive.limits import DEFAULT, InvalidArchive, Limits
from scow.images.archive.reader import TarReader
from scow.images.blobs import BlobStore, Ingest
from scow.images.decompress import Decompressed, Source
from scow.images.trees import Trees
from scow.images.unpack import Unpacked, Unpacker
from scow.oci.descriptor import Descriptor

_REPLAYED = 1 << 20
_LARGE = 8 << 20


class CorruptLayer(DataLoss):
    """The bytes are not those that the manifest and the config announce."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A layer on disk: `directory` is its name in Trees ("" when only the blob was wanted)."""

    diff_id: str
    directory: str
    unpacked: Unpacked


class _Incoming:
    """The compressed side: counts, hashes and writes what passes; first what an earlier download has left."""

    def __init__(self, source: Source, ingest: Ingest | None, algorithm: str) -> None:
        self._source = source
        self._ingest = ingest
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self.size = 0

    def __call__(self) -> bytes:
        ingest = self._ingest
        if ingest is not None and self.size < ingest.kept:
            chunk = ingest.read(self.size, min(_REPLAYED, ingest.kept - self.size))
        else:
            chunk = self._source()
            if chunk and ingest is not None:
                ingest.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)
        return chunk

    def check(self, descriptor: Descriptor) -> None:
        """Read the rest and compare."""
        while self():
            pass
        if self.size != descriptor.size:
            raise CorruptLayer(
                f"layer {descriptor.digest.short} has {self.size} bytes, its descriptor says {descriptor.size}"
            )
        if f"{self._algorithm}:{self._hash.hexdigest()}" != descriptor.digest:
            raise CorruptLayer(f"filesystem layer verification failed for digest {descriptor.digest}")


def store_layer(
    source: Source,
    descriptor: Descriptor,
    diff_id: str,
    blobs: BlobStore,
    trees: Trees,
    limits: Limits = DEFAULT,
    ingest: Ingest | None = None,
) -> Stored:
    """Store and unpack a layer blob that `source` delivers, after what `ingest` has of it already."""
    with _written(ingest or blobs.ingest()) as into:
        incoming = _Incoming(source, into, descriptor.digest.algorithm)
        stored = unpack_layer(incoming, descriptor, diff_id, trees, limits)
        into.commit(descriptor.digest)
        return stored


@contextmanager
def _written(ingest: Ingest) -> Iterator[Ingest]:
    """An ingest that is closed in the end; a download that broke off leaves what it brought."""
    keep = False
    try:
        yield ingest
    except Cancelled:
        keep = True
        raise
    finally:
        ingest.close(keep)


def unpack_stored(
    descriptor: Descriptor, diff_id: str, blobs: BlobStore, trees: Trees, limits: Limits = DEFAULT
) -> Stored:
    """Unpack a layer whose blob is in the store already; the blob is verified on the way. NotFound without it."""
    with blobs.open(descriptor.digest) as stream:
        incoming = _Incoming(lambda: stream.read(1 << 20), None, descriptor.digest.algorithm)
        return unpack_layer(incoming, descriptor, diff_id, trees, limits)


def unpack_layer(incoming: "_Incoming", descriptor: Descriptor, diff_id: str, trees: Trees, limits: Limits) -> Stored:
    """A new directory with the layer's content; none when digest, size or diff id are wrong."""
    directory = trees.create()
    done = False
    try:
        try:
            plain = Decompressed(incoming, limits)
            if descriptor.size < _LARGE:  # not worth a thread
                unpacked = unpack_into(trees.path(directory), plain, limits)
            else:
                with closing(Ahead(plain)) as ahead:
                    unpacked = unpack_into(trees.path(directory), ahead, limits)
        except InvalidArchive:
            incoming.check(descriptor)  # bytes that are wrong altogether are the better message
            raise
        incoming.check(descriptor)
        if plain.digest() != diff_id:
            raise CorruptLayer(
                f"layer {descriptor.digest.short}: its content is not the diff id {diff_id} of the config"
            )
        done = True
        return Stored(diff_id, directory, unpacked)
    finally:
        if not done:
            trees.remove(directory)


def store_blob(source: Source, descriptor: Descriptor, blobs: BlobStore, ingest: Ingest | None = None) -> None:
    """Store a blob without unpacking it."""
    with _written(ingest or blobs.ingest()) as into:
        _Incoming(source, into, descriptor.digest.algorithm).check(descriptor)
        into.commit(descriptor.digest)


def unpack_into(path: str, plain: Callable[[], bytes], limits: Limits = DEFAULT) -> Unpacked:
    """Unpack plain tar chunks into the empty directory `path`, reading the source to its end."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        reader = TarReader(plain, limits)
        with Unpacker(root) as unpacker:
            unpacked = unpacker.apply(reader)
        reader.drain()
        return unpacked
    finally:
        os.close(root)


def first_error(error: BaseException) -> BaseException:
    """The most telling error of a group: one of ours before the cancellations that it caused."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    inner = [first_error(each) for each in error.exceptions]
    return next((each for each in inner if isinstance(each, ScowError)), inner[0])

"""A foreign archive as the one layer of a new image: decompressed here and checked by the unpacker on the way."""

from collections.abc import Callable

from scow.images.archive.limits import DEFAULT, InvalidArchive, Limits
from scow.images.archive.writer import Emit
from scow.images.decompress import Decompressed


def writer_of(read: Callable[[], bytes], limits: Limits = DEFAULT) -> Callable[[Emit], None]:
    """Writes what `read` gives (chunks of a plain or compressed tar, b"" at the end) as a plain archive, bytes kept."""

    def write(emit: Emit) -> None:
        plain = Decompressed(read, limits, hashed=False)
        while chunk := plain():
            emit(chunk)
        if not plain.bytes_out:
            raise InvalidArchive("the archive is empty")

    return write

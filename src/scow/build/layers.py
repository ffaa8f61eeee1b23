"""Layers that steps make: produced, stored, and held for as long as somebody counts on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scow.images.archive.writer import Emit
from scow.images.parts import Parts
from scow.images.pipe import settled
from scow.images.produce import Produced, produce
from scow.metadata.images import LayerRow
from scow.oci.descriptor import Descriptor
from scow.oci.image import chain_ids


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer on top of others. `size` in bytes as Docker counts."""

    chain_id: str
    diff_id: str
    descriptor: Descriptor
    size: int


async def make(
    parts: Parts, diff_ids: Sequence[str], write: Callable[[Emit], None], keep: Callable[[Layer], None]
) -> Layer | None:
    """What `write` writes (in a thread) as a layer on top of `diff_ids`; None when it writes no entry at all.

    `keep` is called with it while it is held: it holds it from then on. On an error nothing is left.
    """

    def discard(made: Produced) -> None:
        made.ingest.close()
        parts.trees.remove(made.directory)

    made = await settled(parts.submit(produce, write, parts.blobs, parts.trees, parts.limits), discard)
    chain_id = chain_ids([*diff_ids, made.diff_id])[-1]
    digest = made.descriptor.digest
    try:
        if not made.unpacked.entries:
            parts.trees.remove(made.directory)
            return None
        with parts.catalog.hold([chain_id, digest]):
            made.ingest.commit(digest)
            await parts.arrive(LayerRow(chain_id, made.diff_id, made.directory, made.unpacked.size))
            layer = Layer(chain_id, made.diff_id, made.descriptor, made.unpacked.size)
            keep(layer)
        return layer
    except BaseException:
        if made.directory not in parts.catalog.directories_in_use():
            parts.trees.remove(made.directory)
        raise
    finally:
        made.ingest.close()

"""--cache-from: images whose steps count as made where they are the same, one after the other from the base on."""

from collections.abc import Sequence
from dataclasses import dataclass

from scow.build.cache import Step
from scow.build.layers import Layer
from scow.build.state import State
from scow.errors import ScowError
from scow.images.commit import seconds_of
from scow.images.parts import Parts
from scow.model.image import Image
from scow.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True)
class Lender:
    """An image with the descriptors of its layers."""

    image: Image
    layers: tuple[Descriptor, ...]


async def lender(parts: Parts, image: Image) -> Lender | None:
    """None for an image whose manifest cannot be read: it is no help, and no harm."""
    try:
        manifest, _ = await parts.run(parts.manifest, parts.catalog.require(image.id))
    except ScowError:
        return None
    return Lender(image, tuple(manifest.layers))


def borrow(parts: Parts, lenders: Sequence[Lender], state: State, created_by: str, key: str) -> Step | None:
    """What an image's next step has made, when all its steps so far are those of `state` and this one has the same words."""
    done = [(line.get("created_by", ""), bool(line.get("empty_layer"))) for line in state.history]
    for each in lenders:
        image = each.image
        lines = image.history[: len(done) + 1]
        same = [(line.created_by, line.empty_layer) for line in lines[:-1]] == done
        if len(lines) <= len(done) or not same or lines[-1].created_by != created_by:
            continue
        number = len(state.chain)
        if tuple(image.chain_ids[:number]) != state.chain:
            continue
        stamp = seconds_of(lines[-1].created)
        if lines[-1].empty_layer:
            return Step(key, stamp)
        if number >= len(image.chain_ids) or image.chain_ids[number] not in parts.catalog.layers:
            continue
        chain_id = image.chain_ids[number]
        layer = Layer(chain_id, image.diff_ids[number], each.layers[number], parts.catalog.layers[chain_id].size)
        return Step(key, stamp, layer)
    return None

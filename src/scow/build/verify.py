"""Is what was built just now the same as an image that is there?"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from scow.build.state import State
from scow.build.work import Work
from scow.images.archive.deviation import Facts, deviations, facts
from scow.images.archive.reader import TarReader
from scow.images.commit import seconds_of
from scow.images.compose import documents_of
from scow.images.decompress import Decompressed
from scow.model.image import Image
from scow.model.verdict import Deviation, LayerDeviation, Verdict
from scow.oci import image as image_documents
from scow.oci.descriptor import Descriptor
from scow.oci.digest import Digest

_FILES = 1000  # that are named for a layer
_FIELDS = 1000
_CHUNK = 1 << 20


async def verdict(work: Work, state: State, image: Image) -> Verdict:
    """The layers of the image are held. Reads both layers where they differ, in a thread."""
    return await work.parts.run(_verdict, work, state, image)


def _verdict(work: Work, state: State, image: Image) -> Verdict:
    parts = work.parts
    expected, _ = parts.manifest(parts.catalog.require(image.id))
    config = parts.catalog.config(image.id).document
    if state.base is not None and not state.stepped:
        row = parts.catalog.require(state.base.id)
        built_config, built_id, built_manifest = parts.catalog.config(state.base.id).document, row.id, row.listed
    else:
        data, manifest = documents_of(state.document(), state.layers)
        built_config, built_id = image_documents.parse(data).document, str(Digest.of(data))
        built_manifest = str(Digest.of(manifest))
    listed = parts.catalog.require(image.id).listed
    if built_id == image.id:
        return Verdict(image.id, built_id, listed, built_manifest)
    shown = {key: value for key, value in config.items() if key != "rootfs"}
    fields = _fields("", shown, {key: value for key, value in built_config.items() if key != "rootfs"})
    layers = tuple(_layers(work, image, expected.layers, state))
    below = len(state.base.history) if state.base is not None else 0
    moments = {line.created for line in image.history[below:]}
    moment = seconds_of(moments.pop() or "") if len(moments) == 1 else 0
    return Verdict(
        image.id,
        built_id,
        listed,
        built_manifest,
        tuple(found for found, _ in zip(fields, range(_FIELDS), strict=False)),
        layers,
        moment,
    )


def _fields(path: str, expected: Any, built: Any) -> Iterator[Deviation]:
    """Where two documents differ."""
    if expected == built:
        return
    if isinstance(expected, dict) and isinstance(built, dict):
        for name in dict.fromkeys((*expected, *built)):
            inner = f"{path}.{name}" if path else str(name)
            yield from _fields(inner, expected.get(name), built.get(name))
    elif isinstance(expected, list) and isinstance(built, list):
        for number, (one, other) in enumerate(zip_longest(expected, built)):
            yield from _fields(f"{path}[{number}]", one, other)
    else:
        yield Deviation(path, _text(expected), _text(built))


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _layers(work: Work, image: Image, expected: Sequence[Descriptor], state: State) -> Iterator[LayerDeviation]:
    words = [line.created_by for line in image.history if not line.empty_layer]
    ours = [str(line.get("created_by", "")) for line in state.history if not line.get("empty_layer")]
    for number in range(max(len(expected), len(state.layers))):
        one = str(image.diff_ids[number]) if number < len(expected) else ""
        other = state.diff_ids[number] if number < len(state.layers) else ""
        if one == other:
            continue
        said = words[number] if number < len(words) else ours[number] if number < len(ours) else ""
        found = []
        if one and other:
            found = list(deviations(_facts(work, expected[number]), _facts(work, state.layers[number])))
        yield LayerDeviation(number + 1, said, one, other, tuple(found[:_FILES]), max(len(found) - _FILES, 0))


def _facts(work: Work, layer: Descriptor) -> dict[bytes, Facts]:
    limits = work.parts.limits
    with work.parts.blobs.open(layer.digest) as blob:
        return facts(TarReader(Decompressed(lambda: blob.read(_CHUNK), limits, hashed=False), limits))

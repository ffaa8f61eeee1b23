"""What a build leaves: an image in the store, archives for the client, or both."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from scow.build import verify
from scow.build.request import Deliver, Output
from scow.build.state import State
from scow.build.work import Work
from scow.images import outlet, save
from scow.images.archive.writer import Emit
from scow.images.compose import documents_of, publish
from scow.images.differ import write_whole
from scow.model.image import Image
from scow.model.verdict import Verdict
from scow.oci.digest import Digest
from scow.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Left:
    """The id of the image that was built ("" for files alone), and the image when the store has got it, with the names that it
    was given. `verdict`: when an image was to be verified. `manifest`: its digest.
    """

    id: str
    image: Image | None = None
    names: tuple[Reference, ...] = ()
    verdict: Verdict | None = None
    manifest: str = ""


async def leave(work: Work, state: State, deliver: Deliver) -> Left:
    """All outputs of the request, in their order; an image in the store when it names none."""
    if work.verified is not None:
        return Left(state.image_id, verdict=await verify.verdict(work, state, work.verified))
    outputs = work.request.outputs or (Output("image"),)
    image: Image | None = None
    names: dict[Reference, None] = {}
    for output in outputs:
        if output.kind == "image":
            names |= dict.fromkeys(output.names or work.request.names)
    if any(output.kind == "image" for output in outputs):
        image = await _image(work, state, tuple(names))
    for number, output in enumerate(outputs):
        if output.archive:
            async with aclosing(_archive(work, state, output)) as pieces:
                await deliver(number, pieces)
    known = image is not None or any(output.kind in ("docker", "oci") for output in outputs)
    if not known:
        return Left("")
    given = tuple(names) if image is not None else _names_of(work)
    return Left(state.image_id, image, given, manifest=_manifest(work, state))


def _names_of(work: Work) -> tuple[Reference, ...]:
    """Those of the archives."""
    names = [name for output in work.request.outputs for name in output.names or work.request.names]
    return tuple(dict.fromkeys(names))


def _manifest(work: Work, state: State) -> str:
    if state.base is not None and not state.stepped:
        return work.parts.catalog.require(state.base.id).listed
    return str(Digest.of(documents_of(state.document(), state.layers)[1]))


async def _image(work: Work, state: State, names: tuple[Reference, ...]) -> Image:
    """The image of a state, with its names. Either it is there with all of them, or nothing is."""
    parts = work.parts
    if state.base is not None and not state.stepped:
        for name in names:
            await parts.catalog.tag(state.base.id, name)
        if names:
            await parts.export()
        return parts.catalog.resolve(state.base.id)
    return await publish(parts, state.document(), state.layers, names)


def _archive(work: Work, state: State, output: Output) -> AsyncGenerator[bytes, None]:
    if output.kind == "tar":
        return _files(work, state)
    return _image_archive(work, state, output.names or work.request.names, docker=output.kind == "docker")


def _files(work: Work, state: State) -> AsyncGenerator[bytes, None]:
    """The root file system."""
    layers, trees = work.parts.catalog.layers, work.parts.trees
    directories = [trees.path(layers[chain_id].directory) for chain_id in reversed(state.chain)]

    def write(emit: Emit) -> None:
        write_whole(directories, emit)

    return outlet.pieces(write, "build-output")


def _image_archive(
    work: Work, state: State, names: tuple[Reference, ...], *, docker: bool
) -> AsyncGenerator[bytes, None]:
    if state.base is not None and not state.stepped:
        return save.save(work.parts, [save.Selected(state.base, names)], docker=docker)
    config, manifest = documents_of(state.document(), state.layers)
    return save.save_unstored(work.parts, save.Unstored(config, manifest, names), docker=docker)

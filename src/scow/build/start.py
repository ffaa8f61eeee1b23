"""FROM: the state that an image, or nothing at all, begins with."""

from dataclasses import replace
from functools import partial

from scow.build.configure import Settings
from scow.build.files import Files, Ownership
from scow.build.output import Voice
from scow.build.state import LATEST, State
from scow.build.tree import Tree
from scow.build.work import Work
from scow.errors import InvalidArgument, NotFound
from scow.images.commit import seconds_of
from scow.model.container import ContainerConfig
from scow.model.image import Image, best
from scow.oci.platform import Platform, host_platform
from scow.oci.reference import Reference

SCRATCH = "scratch"
_EARLIEST = 315_532_800  # 1980-01-01, where the times of most archives begin
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def image(work: Work, name: str, platform: str, voice: Voice) -> State:
    """The state of an image, pulled when it is not here or must be fresh. It is held until the work is over."""
    wanted = _platform(platform) if platform else work.request.platform
    if name == SCRATCH:
        return State(wanted or host_platform(), settings=Settings(with_path(ContainerConfig())), stamp=_EARLIEST)
    found = None if work.request.pull else _local(work, name, wanted)
    if found is None:
        reference = Reference.parse(name).with_default_tag()
        credentials = work.request.credentials(reference.domain)
        found = await work.images.pull(reference, str(wanted or ""), credentials, voice.tell)
    return await _state(work, found)


async def files(work: Work, tree: Tree, platform: str) -> State:
    """The state of a context: its files, and nothing else."""
    wanted = _platform(platform) if platform else work.request.platform
    state = State(wanted or host_platform(), settings=Settings(with_path(ContainerConfig())), stamp=_EARLIEST)

    def gather() -> tuple[Files, str]:
        put = Files(work.tree(()), Ownership(), from_context=True)
        put.contents((), tree, ())
        return put, put.digest()

    put, digest = await work.run(gather)
    state = state.after(put.newest())
    key = work.key("context", digest)
    write = partial(put.write, work.stamp(state), work.request.stamp is not None)
    words = f"FROM context:{digest}"
    step, cached = await work.once(key, state, words, lambda: work.layer(key, state, words, write))
    return state.step(words, step.stamp, step.layer, state.settings, cached=cached)


def _platform(text: str) -> Platform:
    try:
        return Platform.parse(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to parse platform {text}: {error.message}") from None


def _local(work: Work, name: str, wanted: Platform | None) -> Image | None:
    try:
        found = work.images.variants(name)
    except NotFound:
        return None
    return found[0] if wanted is None else best(found, wanted)


async def _state(work: Work, found: Image) -> State:
    parts = work.parts
    work.hold([*found.chain_ids, *parts.catalog.blobs_of(found.id)])
    row = parts.catalog.require(found.id)
    manifest, _ = await parts.run(parts.manifest, row)
    config = parts.catalog.config(found.id)
    return State(
        platform=Platform(found.os, found.architecture, found.variant),
        base=found,
        settings=Settings(with_path(found.config), found.author),
        chain=tuple(str(chain_id) for chain_id in found.chain_ids),
        diff_ids=tuple(str(diff_id) for diff_id in found.diff_ids),
        layers=tuple(manifest.layers),
        history=tuple(config.history),
        stamp=min(max(seconds_of(found.created), _EARLIEST), LATEST),
    )


def with_path(config: ContainerConfig) -> ContainerConfig:
    """As Docker's builder has it: PATH is always set."""
    if any(entry.startswith("PATH=") for entry in config.env):
        return config
    return replace(config, env=(*config.env, _PATH))

"""One build's surroundings: what every step of it may use."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, ParamSpec, TypeVar

from scow.build.agents import Agent
from scow.build.cache import Step, StepCache
from scow.build.context import Context
from scow.build.layers import Layer, make
from scow.build.lending import Lender, borrow, lender
from scow.build.mount_store import MountStore
from scow.build.named import NamedContexts
from scow.build.nodes import Nodes
from scow.build.request import BuildRequest, Images, Runner, Tell
from scow.build.state import State
from scow.build.tree import LayersTree
from scow.errors import NotFound, ScowError
from scow.images.archive.writer import Emit
from scow.images.parts import Parts
from scow.images.pipe import settled
from scow.model.image import Image
from scow.model.transfer import Sentence

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """`directory` is for this build's files alone and goes with it. `check_signal` raises for a signal that does not exist.
    `holding` is closed when the build is over, `files` after it, in a thread. `secrets` is a directory in memory that nobody
    else can read. `steps` are done when steps that this build began have ended: another build may wait for one, and needs
    this one's files. `verified`: the image that this build is compared with; what nobody counts on of the layers `unkept` goes
    when it is over.
    """

    request: BuildRequest
    context: Nodes
    parts: Parts
    cache: StepCache
    images: Images
    runner: Runner
    directory: str
    check_signal: Callable[[str], object]
    holding: ExitStack
    files: ExitStack
    mounts: MountStore
    named: NamedContexts
    agents: Mapping[str, Agent]
    secrets: str
    lenders: list[Lender] = field(default_factory=list)
    steps: list["asyncio.Future[None]"] = field(default_factory=list)
    verified: Image | None = None
    unkept: list[Layer] = field(default_factory=list)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work in a thread, which may use this build's files: a caller who is cancelled goes on when it has ended."""
        return await settled(self.parts.submit(work, *args, **kwargs))

    def tree(self, chain: Sequence[str]) -> LayersTree:
        """The root file system that a chain of layers makes."""
        layers = self.parts.catalog.layers
        return LayersTree([self.parts.trees.path(layers[chain_id].directory) for chain_id in reversed(chain)])

    def scratch_tree(self) -> Context:
        """An empty tree that goes with the build."""
        tree = Context(f"{self.directory}/tree-{token_hex(8)}")
        self.files.callback(tree.close)
        return tree

    def key(self, *fields: object) -> str:
        """A step's key: its fields, and the time when one was asked for."""
        return hashlib.sha256(repr((*fields, self.request.stamp)).encode("utf-8", "surrogateescape")).hexdigest()

    def stamp(self, state: State) -> int:
        """The time of a step on top of a state, Unix seconds: the one asked for, else that of the newest thing so far."""
        return state.stamp if self.request.stamp is None else self.request.stamp

    def find(self, key: str, state: State, created_by: str, *, lends: bool = True) -> Step | None:
        """What the step has made in an earlier build, or in an image that lends its layers (`lends`: its words say all that
        it depends on), unless the cache is not to be used.
        """
        if not self.request.use_cache:
            return None
        found = self.cache.find(key)
        if found is None and self.lenders and lends:
            found = borrow(self.parts, self.lenders, state, created_by, key)
            if found is not None and self.request.stamp not in (None, found.stamp):
                found = None  # made at another time than the one asked for
        return found  # what is borrowed is not remembered: who names no lender gets what the inputs make

    async def find_lenders(self, tell: Tell) -> None:
        """The images of --cache-from: those that are here, which Docker does not pull either, and those in a registry. Without
        one a build takes longer, and no more.
        """
        for reference in self.request.cache_pulled:
            credentials = self.request.credentials(reference.domain)
            try:
                await self.images.pull(reference, str(self.request.platform or ""), credentials, lambda _: None)
            except ScowError as error:
                tell(Sentence(f"cannot take the cache from {reference.familiar}: {error.message}\n"))
        for name in (*self.request.cache_from, *map(str, self.request.cache_pulled)):
            with contextlib.suppress(NotFound):
                image = self.images.resolve(name)
                self.hold([*image.chain_ids, *self.parts.catalog.blobs_of(image.id)])
                found = await lender(self.parts, image)
                if found is not None:
                    self.lenders.append(found)

    def hold(self, ids: Sequence[str]) -> None:
        """Layers and blobs that stay until the build is over, whoever deletes images meanwhile."""
        self.holding.enter_context(self.parts.catalog.hold(ids))

    async def once(
        self,
        key: str,
        state: State,
        created_by: str,
        make: Callable[[], Coroutine[Any, Any, Step]],
        *,
        lends: bool = True,
    ) -> tuple[Step, bool]:
        """(the step of a key, whether it was there): from the cache, from another build that is at it, or made now. What it
        has made stays until this build is over.
        """

        async def owned() -> Step:
            ended = asyncio.get_running_loop().create_future()
            self.steps.append(ended)
            try:
                return await make()
            finally:
                ended.set_result(None)

        step = self.find(key, state, created_by, lends=lends)
        cached = step is not None
        if step is None and self.request.use_cache:
            cached = self.cache.running.waiters(key) > 0
            step = await self.cache.running.run(key, owned, f"step-{key[:12]}")
        elif step is None:
            step = await make()
        if step.layer is not None:
            self.hold([step.layer.chain_id, step.layer.descriptor.digest])
        return step, cached

    async def layer(self, key: str, state: State, description: str, write: Callable[[Emit], None]) -> Step:
        """The step's layer on top of `state`, remembered."""
        kept: list[Step] = []

        def keep(layer: Layer) -> None:
            kept.append(self.remember(key, state, description, layer))

        if await make(self.parts, state.diff_ids, write, keep) is None:
            return self.remember(key, state, description, None)
        return kept[0]

    def remember(self, key: str, state: State, description: str, layer: Layer | None) -> Step:
        step = Step(key, self.stamp(state), layer)
        if self.verified is not None:
            if layer is not None:
                self.hold([layer.chain_id, layer.descriptor.digest])
                self.unkept.append(layer)
            return step
        self.cache.add(step, state.top, description)
        return step

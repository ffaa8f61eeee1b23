"""The builder of one data root: scratch space, cache, and builds. What only a build needs is imported by the first one."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scow.background import complete
from scow.build.agents import DEFAULT, Agent, Agents
from scow.build.context_store import ContextStore
from scow.build.mount_store import MountStore
from scow.build.request import BuildRequest, Deliver, Images, Runner, Tell
from scow.build.uploads import Uploads
from scow.errors import InvalidArgument, ScowError
from scow.images.blobs import on_disk
from scow.images.parts import Parts
from scow.images.pipe import settle, settled
from scow.metadata.builds import StepRow
from scow.metadata.database import Database
from scow.model.transfer import Built
from scow.oci.platform import host_platform

if TYPE_CHECKING:
    from scow.build.cache import StepCache
    from scow.build.context import Context
    from scow.build.export import Left
    from scow.build.frontend.commands import Dockerfile
    from scow.build.layers import Layer
    from scow.build.nodes import Nodes
    from scow.build.synced import Synced
    from scow.build.tree import Path

_DOCKERFILE_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """Directories of the builder's own. `mounts`: what RUN --mount=type=cache keeps. `contexts`: files that clients have sent.
    `secrets`: below the exec root, which
    is in memory and root's alone; empty when the daemon starts.
    """

    mounts: str
    contexts: str
    secrets: str


class Builder:
    """Any number of builds at the same time."""

    def __init__(
        self, database: Database, parts: Parts, images: Images, rows: Sequence[StepRow], places: Places
    ) -> None:
        """`rows` are those of the database; what they count on is held by parts.kept until the cache is there."""
        self._database = database
        self._parts = parts
        self._images = images
        self._rows = rows
        self._cache: StepCache | None = None
        self._places = places
        self.mounts = MountStore(places.mounts)
        self.mounts.sweep()
        self.contexts = ContextStore(places.contexts)
        self.contexts.sweep()
        self.uploads = Uploads()
        self.agents = Agents()
        shutil.rmtree(places.secrets, ignore_errors=True)
        os.makedirs(places.secrets, 0o700)

    @property
    def cache(self) -> "StepCache":
        if self._cache is None:
            from scow.build.cache import StepCache

            self._cache = StepCache(self._database, self._parts, self._rows)
            self._parts.kept.close()
            self._rows = ()
        return self._cache

    def available(self) -> int:
        """Bytes that are free where the layers are."""
        there = os.statvfs(self._parts.scratch)
        return there.f_bavail * there.f_frsize

    async def receive(self, archive: AsyncIterator[bytes], url: str = "", agent: Agent | None = None) -> "Context":
        """The context that a client sends, plain or compressed, or that lies at an http or https URL, where it may be a
        Dockerfile alone, or in a git repository (`agent`: the client's, for ssh). The caller closes it.
        """
        from scow.build import git_address, git_tree
        from scow.build.context import Context
        from scow.images.pipe import through

        parts = self._parts
        directory = (
            f"{parts.scratch}/context-{secrets.token_hex(8)}"  # what a crash leaves there goes at the next start
        )
        os.mkdir(directory, 0o700)
        context = Context(f"{directory}/archive", alone=True)
        try:
            repository = git_address.parse(url, short=True) if url else None
            if repository is not None:
                await git_tree.fill(parts, context, repository, agent=agent, sockets=self._places.secrets)
            elif url:
                fetched = self._images.fetch(url, lambda _: None)
                await through(fetched, lambda read: parts.submit(context.read_remote, read, parts.limits))
            else:
                await through(archive, lambda read: parts.submit(context.read_archive, read, parts.limits))
        except BaseException:
            await complete(asyncio.to_thread(context.close), "build-context")
            raise
        return context

    async def propose(self, request: BuildRequest, uid: int, name: str, manifest: bytes) -> tuple[str, list[int]]:
        """(the id of an upload, which files of `manifest` must be sent, by their numbers in it). `name` tells one context of
        the user from another.
        """
        from scow.build.manifest import parse
        from scow.build.synced import Synced

        parts = self._parts
        files = await parts.run(parse, manifest, parts.limits.entries)
        context = await settled(parts.submit(Synced, self.contexts, uid, name, files), Synced.close)
        try:
            asked = await settled(parts.submit(lambda: context.ask(self._needed(request, context))))
            numbers = {file.path: number for number, file in enumerate(files)}
            return self.uploads.add(context, uid), [numbers[path] for path in asked]
        except BaseException:
            await complete(asyncio.to_thread(context.close), "build-context")
            raise

    def _needed(self, request: BuildRequest, context: "Synced") -> "set[Path] | None":
        """None when that cannot be told: for a Dockerfile with errors, or a base image whose triggers are not known."""
        from scow.build import reach
        from scow.build.graph import plan
        from scow.build.scope import Arguments, outer
        from scow.build.start import SCRATCH

        if not request.dockerfile:  # a named context
            return None
        try:
            dockerfile = _parsed(context, request.dockerfile)
            arguments = Arguments(request.arguments, request.platform or host_platform())
            scope = outer(arguments, dockerfile.arguments, dockerfile.escape)
            planned = plan(dockerfile, request.target, scope, (), frozenset(request.contexts))
            for stage in planned.stages.values():
                if stage.start is None and stage.image != SCRATCH:
                    if request.pull or self._images.resolve(stage.image).config.on_build:
                        return None
            return reach.needed(context, planned)
        except ScowError:
            return None

    async def complete(self, id_: str, uid: int, contents: AsyncIterator[bytes]) -> str:
        """The files that `propose` has asked for; the id from now on."""
        from scow.build.synced import Synced
        from scow.images.pipe import through

        context = self.uploads.take(id_, uid)
        try:
            if not isinstance(context, Synced):
                raise InvalidArgument(f"build context {id_} is complete")
            most = self._parts.limits.bytes
            await through(contents, lambda read: self._parts.submit(context.receive, read, most))
            return self.uploads.add(context, uid)
        except BaseException:
            await complete(asyncio.to_thread(context.close), "build-context")
            raise

    async def build(
        self,
        request: BuildRequest,
        context: "Nodes",
        runner: Runner,
        check_signal: Callable[[str], object],
        tell: Tell,
        deliver: Deliver,
        sent: Mapping[str, "Nodes"],
        agents: Mapping[str, Agent],
    ) -> "Left":
        """Build, and leave what is asked for. Errors before the first word to `tell` are the request's."""
        from scow.build.export import leave
        from scow.build.named import NamedContexts
        from scow.build.solver import Build
        from scow.build.squash import squashed
        from scow.build.work import Work

        reading = self._parts.submit(_read, context, request.dockerfile)
        dockerfile = await settled(reading)
        directory = f"{self._parts.scratch}/build-{secrets.token_hex(8)}"
        unkept: list[Layer] = []
        async with AsyncExitStack() as after:
            after.push_async_callback(self._give_up, unkept)
            holding = after.enter_context(ExitStack())
            files = ExitStack()

            async def fetch(url: str) -> "Nodes":
                tree = await self.receive(_nothing(), url, agents.get(DEFAULT))
                files.callback(tree.close)
                return tree

            work = Work(
                request,
                context,
                self._parts,
                self.cache,
                self._images,
                runner,
                directory,
                check_signal,
                holding,
                files,
                self.mounts,
                NamedContexts(request.contexts, sent, fetch),
                agents,
                self._places.secrets,
                verified=self._images.resolve(request.verify) if request.verify else None,
                unkept=unkept,
            )
            if work.verified is not None:
                work.hold([*work.verified.chain_ids, *self._parts.catalog.blobs_of(work.verified.id)])
            try:
                await work.run(_scratch, directory, files)
                state = await Build(work, dockerfile).run(tell)
                if request.squash:
                    state = await squashed(work, state)
                    tell(Built(state.image_id))
                return await leave(work, state, deliver)
            finally:
                for step in work.steps:
                    await settle(step, lambda _: None)
                self.cache.flush_soon()
                await complete(asyncio.to_thread(files.close), "build-scratch")

    async def _give_up(self, layers: Sequence["Layer"]) -> None:
        chain_ids, digests = [layer.chain_id for layer in layers], [layer.descriptor.digest for layer in layers]
        if layers:
            await complete(self._parts.give_up(chain_ids, digests), "build: tidy")


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


class CannotLocate(ScowError):
    """The context has no such Dockerfile."""


def _parsed(context: "Nodes", name: str) -> "Dockerfile":
    from scow.build.frontend import parser

    text = context.read(name, _DOCKERFILE_LIMIT)
    if text is None:
        raise CannotLocate(f"Cannot locate specified Dockerfile: {name}")
    return parser.parse(_text(text), name)


def _read(context: "Nodes", name: str) -> "Dockerfile":
    """In a thread: the Dockerfile; what only the client's side was to see is hidden from the steps."""
    from scow.build.frontend import lint
    from scow.build.nodes import IGNORE

    dockerfile = _parsed(context, name)
    lint.enforce(dockerfile, context.rules(f"{name}{IGNORE}", IGNORE))
    context.hide(name)
    return dockerfile


def _scratch(directory: str, files: ExitStack) -> None:
    """In a thread: a directory that goes with `files`."""
    files.callback(shutil.rmtree, directory, ignore_errors=True)
    with on_disk("make room for the build"):
        os.mkdir(directory, 0o700)


def _text(data: bytes) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        raise InvalidArgument("the Dockerfile is not UTF-8") from None

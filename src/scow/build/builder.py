"""The builder of one data root: scratch space, cache, and builds. What only a build needs is imported by the first one."""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scow.build.mount_store import MountStore
from scow.build.request import BuildRequest, Deliver, Images, Runner, Tell
from scow.errors import InvalidArgument, ScowError
from scow.images.parts import Parts
from scow.images.pipe import settle
from scow.metadata.builds import StepRow
from scow.metadata.database import Database

if TYPE_CHECKING:
    from scow.build.cache import StepCache
    from scow.build.context import Context
    from scow.build.export import Left

_DOCKERFILE_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """Directories of the builder's own. `mounts`: what RUN --mount=type=cache keeps. `secrets`: below the exec root, which
    is in memory and root's alone; empty when the daemon starts.
    """

    mounts: str
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

    async def receive(self, archive: AsyncIterator[bytes], url: str = "") -> "Context":
        """The context that a client sends, plain or compressed, or that lies at an http or https URL, where it may be a
        Dockerfile alone. The caller closes it.
        """
        from scow.build.context import Context
        from scow.images.pipe import through

        parts = self._parts
        directory = (
            f"{parts.scratch}/context-{secrets.token_hex(8)}"  # what a crash leaves there goes at the next start
        )
        os.mkdir(directory, 0o700)
        context = Context(f"{directory}/archive", alone=True)
        try:
            if url:
                fetched = self._images.fetch(url, lambda _: None)
                await through(fetched, lambda read: parts.submit(context.read_remote, read, parts.limits))
            else:
                await through(archive, lambda read: parts.submit(context.read_archive, read, parts.limits))
        except BaseException:
            context.close()
            raise
        return context

    async def build(
        self,
        request: BuildRequest,
        context: "Context",
        runner: Runner,
        check_signal: Callable[[str], object],
        tell: Tell,
        deliver: Deliver,
    ) -> "Left":
        """Build, and leave what is asked for. Errors before the first word to `tell` are the request's."""
        from scow.build.export import leave
        from scow.build.frontend import lint, parser
        from scow.build.solver import Build
        from scow.build.work import Work

        text = context.read(request.dockerfile, _DOCKERFILE_LIMIT)
        if text is None:
            raise CannotLocate(f"Cannot locate specified Dockerfile: {request.dockerfile}")
        dockerfile = parser.parse(_text(text), request.dockerfile)
        lint.enforce(dockerfile)
        written = context.written(request.dockerfile)
        context.hide(request.dockerfile)
        directory = f"{self._parts.scratch}/build-{secrets.token_hex(8)}"
        os.mkdir(directory, 0o700)
        with ExitStack() as holding:
            holding.callback(shutil.rmtree, directory, ignore_errors=True)
            work = Work(
                request,
                context,
                self._parts,
                self.cache,
                self._images,
                runner,
                written,
                directory,
                check_signal,
                holding,
                self.mounts,
                self._places.secrets,
            )
            try:
                return await leave(work, await Build(work, dockerfile).run(tell), deliver)
            finally:
                for step in work.steps:
                    await settle(step, lambda _: None)
                self.cache.flush_soon()


class CannotLocate(ScowError):
    """The context has no such Dockerfile."""


def _text(data: bytes) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        raise InvalidArgument("the Dockerfile is not UTF-8") from None

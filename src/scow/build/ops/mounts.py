"""RUN --mount: what a step sees beside its root file system, and what of it counts in the step's key.

Files of a context or of another stage are copied for the step: it cannot change them for anybody else, and no link among them
leads out.
"""

import os
import posixpath
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from scow.build.agents import DEFAULT, listening
from scow.build.files import Files, Ownership
from scow.build.frontend.commands import Mount, Run
from scow.build.state import State
from scow.build.tree import Tree, resolve
from scow.build.work import Work
from scow.errors import InvalidArgument, NotFound, Unsupported
from scow.images.layer import unpack_into
from scow.model.mounts import MountPoint

Others = Callable[[str], Awaitable[State]]
_SECRETS = "/run/secrets"
_AGENTS = "/run/buildkit/ssh_agent"
_FORBIDDEN = ("/", "/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True)
class Attached:
    """`points` are mounted; `environment` are NAME=value that the step gets; `key` stands for them in the step's key."""

    points: tuple[MountPoint, ...] = ()
    environment: tuple[str, ...] = ()
    key: tuple[object, ...] = ()


class Mounts:
    """The mounts of one RUN. `key` tells what counts; `attach` makes them, until `using` is closed."""

    def __init__(self, work: Work, command: Run, state: State, others: Others) -> None:
        self._work = work
        self._mounts = command.mounts
        self._state = state
        self._others = others
        self._files: dict[Mount, Files] = {}

    async def key(self) -> tuple[object, ...]:
        """What of the mounts decides what comes of the step. A secret's content does not, nor does a cache's."""
        found: list[object] = []
        for mount in self._mounts:
            what: tuple[object, ...] = (mount.kind, self._target(mount), mount.readonly, mount.size, mount.env)
            if mount.kind == "bind":
                files = await self._gather(mount)
                what = (*what, await self._work.run(files.digest))
            elif mount.kind in ("cache", "secret", "ssh"):
                what = (*what, self._id(mount), mount.mode, mount.uid, mount.gid)
                if mount.kind == "cache" and mount.origin:
                    what = (*what, await self._work.run((await self._gather(mount)).digest))
            found.append(what)
        return tuple(found)

    async def attach(self, using: AsyncExitStack) -> Attached:
        """Make them."""
        points: list[MountPoint] = []
        environment: list[str] = []
        for mount in self._mounts:
            target = self._target(mount)
            if mount.kind == "tmpfs":
                options = (f"size={mount.size}",) if mount.size else ()
                points.append(MountPoint("tmpfs", target, options=options))
            elif mount.kind == "bind":
                source = await self._work.run(self._copy, mount)
                points.append(MountPoint("bind", target, source, read_only=mount.readonly))
            elif mount.kind == "cache":
                points.append(MountPoint("bind", target, await self._cache(mount, using), read_only=mount.readonly))
            elif mount.kind == "ssh":
                await self._agent(mount, target, points, environment, using)
            else:
                self._secret(mount, target, points, environment, using)
        return Attached(tuple(points), tuple(environment))

    def _id(self, mount: Mount) -> str:
        if mount.kind == "secret":
            return mount.id or mount.source or posixpath.basename(mount.target)
        return mount.id or (DEFAULT if mount.kind == "ssh" else self._target(mount))

    def _target(self, mount: Mount) -> str:
        if mount.kind == "secret" and not mount.target:
            return f"{_SECRETS}/{self._id(mount)}"
        if mount.kind == "ssh" and not mount.target:
            agents = [one for one in self._mounts if one.kind == "ssh" and not one.target]
            return f"{_AGENTS}.{next(at for at, one in enumerate(agents) if one is mount)}"
        path = "/" + posixpath.normpath(posixpath.join("/", self._state.config.working_dir, mount.target)).lstrip("/")
        if path in _FORBIDDEN:
            raise InvalidArgument(f"invalid mount target {mount.target!r} of RUN --mount=type={mount.kind}")
        return path

    async def _gather(self, mount: Mount) -> Files:
        """What a bind shows, below the name `it`."""
        if mount not in self._files:
            tree: Tree = self._work.context
            if mount.origin:
                tree = await lent(self._work, mount.origin, self._others)
            self._files[mount] = await self._work.run(_subtree, tree, mount.source)
        return self._files[mount]

    def _copy(self, mount: Mount) -> str:
        directory = f"{self._work.directory}/{secrets.token_hex(8)}"
        os.mkdir(directory, 0o755)
        with open(f"{directory}.tar", "w+b", buffering=0) as archive:
            self._files[mount].write(self._state.stamp, False, archive.write)
            archive.seek(0)
            unpack_into(directory, lambda: archive.read(1 << 20), self._work.parts.limits)
        os.unlink(f"{directory}.tar")
        return f"{directory}/it"

    async def _cache(self, mount: Mount, using: AsyncExitStack) -> str:
        if mount.source and not mount.origin:
            raise Unsupported("RUN --mount=type=cache,source=… without from is not supported by scow")
        mode = 0o755 if mount.mode is None else mount.mode
        id_, fill = self._id(mount), None
        if mount.origin:  # what it begins with: another one for other files
            files = await self._gather(mount)
            id_ += f"\0{await self._work.run(files.digest)}"
            fill = partial(self._copy, mount)
        used = self._work.mounts.use(
            id_, mount.sharing or "shared", mode, mount.uid or 0, mount.gid or 0, time.time_ns(), fill
        )
        path: str = await using.enter_async_context(used)
        return path

    async def _agent(
        self, mount: Mount, target: str, points: list[MountPoint], environment: list[str], using: AsyncExitStack
    ) -> None:
        agent = self._work.agents.get(self._id(mount))
        if agent is None:
            if mount.required:
                raise NotFound(f"unset ssh forward key {self._id(mount)}")
            return
        mode = 0o600 if mount.mode is None else mount.mode
        way = listening(agent, self._work.secrets, mode, mount.uid or 0, mount.gid or 0)
        points.append(MountPoint("bind", target, await using.enter_async_context(way)))
        if not any(variable.startswith("SSH_AUTH_SOCK=") for variable in environment):
            environment.append(f"SSH_AUTH_SOCK={target}")

    def _secret(
        self, mount: Mount, target: str, points: list[MountPoint], environment: list[str], using: AsyncExitStack
    ) -> None:
        data = self._work.request.secrets.get(self._id(mount))
        if data is None:
            if mount.required:
                raise NotFound(f"secret {self._id(mount)}: not found")
            return
        if mount.env:
            environment.append(f"{mount.env}={data.decode('utf-8', 'surrogateescape')}")
            if not mount.target:
                return
        path = f"{self._work.secrets}/{secrets.token_hex(16)}"
        using.callback(_remove, path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            os.fchown(fd, mount.uid or 0, mount.gid or 0)
            os.fchmod(fd, 0o400 if mount.mode is None else mount.mode)
        points.append(MountPoint("bind", target, path, read_only=True))


async def lent(work: Work, name: str, others: Others) -> Tree:
    """The files of a named context, a stage or an image."""
    return await work.named.tree(name) or work.tree((await others(name)).chain)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _subtree(tree: Tree, source: str) -> Files:
    path = resolve(tree, os.fsencode(source or "/"))
    node = tree.find(path)
    if node is None:
        raise NotFound(f"RUN --mount=type=bind: {source}: file does not exist")
    files = Files(_Nothing(), Ownership(None, None), from_context=False)
    if node.is_directory:
        files.contents((b"it",), tree, path)
    else:
        files.file((b"it",), tree, path, node)
    return files


class _Nothing:
    """An empty tree."""

    def find(self, path: tuple[bytes, ...]) -> None:
        return None

    def names(self, path: tuple[bytes, ...]) -> list[bytes]:
        return []

    def content(self, path: tuple[bytes, ...]) -> Iterator[bytes]:
        return iter(())

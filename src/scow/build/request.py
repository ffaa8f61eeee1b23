"""What a client asks of a build, and what it is told while the build goes on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scow.errors import ScowError
from scow.images.archive.bound import Bound
from scow.model.container import ContainerConfig, Resources, Ulimit
from scow.model.image import Image
from scow.model.mounts import MountPoint
from scow.model.transfer import Built, Credentials, PullProgress, PushedTag, Sentence, Vertex, VertexLog, VertexStatus
from scow.oci.platform import Platform
from scow.oci.reference import Reference

Finder = Callable[[str], Credentials | None]


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What RUN's processes get, beside what every container has. `network` "" is the default bridge."""

    network: str = ""
    resources: Resources = field(default_factory=Resources)
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    security_opt: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What is made of the target: `image` in the store, and pushed when `push`; an archive for the client: `docker` or `oci` of
    the image, `tar` of its files; `cacheonly` is nothing. Without `names` of its own it has those of the request.
    """

    kind: str
    names: tuple[Reference, ...] = ()
    push: bool = False

    @property
    def archive(self) -> bool:
        return self.kind in ("docker", "oci", "tar")


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One build. Without `outputs` it leaves an image. `remote`: a URL or git repository that the context is at. `context`:
    the id of an upload that is it.

    `contexts`: what more names stand for (see NamedContexts); `sent`: ids of the uploads among them.
    `agents`: ids of the connections to ssh agents, by the names that RUN --mount=type=ssh gives.

    `cache_from`: names of images here whose steps count as made; `cache_pulled`: those of images that are pulled first.
    `anew`: names or numbers of stages that are built without the cache.

    `arguments` with None are asked for, but have no value. `stamp`: SOURCE_DATE_EPOCH in Unix seconds.
    `remove` and `remove_failed` decide what is said of containers of steps; none is ever kept.

    `verify`: the name of an image that this build is compared with; nothing is kept then, not even in the cache.

    `trace`: steps are told as vertices when they begin and end, instead of a dialogue in the order of the file.

    `credentials` gives those for a registry's host. `secrets` by id; they are in no key, no history and no layer.
    """

    dockerfile: str = "Dockerfile"
    context: str = ""
    contexts: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict, repr=False)
    remote: str = ""
    names: tuple[Reference, ...] = ()
    outputs: tuple[Output, ...] = ()
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    platform: Platform | None = None
    pull: bool = False
    use_cache: bool = True
    anew: frozenset[str] = frozenset()
    cache_from: tuple[str, ...] = ()
    cache_pulled: tuple[Reference, ...] = ()
    squash: bool = False
    remove: bool = True
    remove_failed: bool = False
    stamp: int | None = None
    limits: RunLimits = field(default_factory=RunLimits)
    verify: str = ""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    credentials: Finder = lambda _: None
    trace: bool = False


Told = Sentence | Built | PullProgress | PushedTag | Vertex | VertexLog | VertexStatus
Tell = Callable[[Told], None]
Deliver = Callable[[int, AsyncIterator[bytes]], Awaitable[None]]
"""Takes the archive of the output with that number, to its end."""


class StepFailed(ScowError):
    """A RUN that ended with a code other than 0."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Execution:
    """One RUN. `id` names its writable layer until it is discarded; `chain` is what lies below it."""

    id: str
    chain: tuple[str, ...]
    config: ContainerConfig
    limits: RunLimits
    mounts: tuple[MountPoint, ...] = ()


class Runner(Protocol):
    """Runs a step's process in a container that nobody else sees.

    Lifecycle of an execution: run() once, whatever comes of it; then newest() and write_changes() any number of times;
    discard() once.
    """

    async def run(self, execution: Execution, output: Callable[[bool, bytes], None]) -> int:
        """The exit code. `output` gets (whether it is the error stream, bytes). StartFailure when nothing could be started;
        a cancelled caller's process is killed and gone when this returns.
        """

    def newest(self, execution: Execution, before: int) -> int:
        """In a thread: the newest time that a changed file has and that lies before a moment (Unix nanoseconds), in Unix
        seconds, rounded up; 0 for none.
        """

    def write_changes(self, execution: Execution, emit: Callable[[bytes], object], bound: Bound) -> None:
        """In a thread: what the process has changed, as a layer archive whose times are bounded."""

    async def discard(self, execution: Execution) -> None:
        """Remove the writable layer and all that was made for the process."""


class Images(Protocol):
    """The images that FROM and --from name."""

    def resolve(self, name: str) -> Image: ...

    def variants(self, name: str) -> Sequence[Image]: ...

    async def pull(
        self,
        reference: Reference,
        platform: str,
        credentials: Credentials | None,
        progress: Callable[[PullProgress], None],
    ) -> Image: ...

    def fetch(self, url: str, progress: Callable[[PullProgress], None]) -> AsyncIterator[bytes]: ...

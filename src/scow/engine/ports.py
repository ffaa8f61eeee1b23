"""The contracts between the engine and the parts below it. daemon/wiring.py picks the implementations.

Every method may raise a `ScowError` kind and nothing else on purpose. Methods that are `async` do not block the loop.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Mapping, Sequence
from typing import Any, Protocol

from scow.images.archive.bound import Bound
from scow.model.image import Image
from scow.model.making import NewImage
from scow.model.network import EndpointWish, Network, NetworkRequest, Reach, Tenancy, Tenant
from scow.model.network import Places as Places
from scow.model.network import Sandbox as Sandbox
from scow.model.task import Attachment as Attachment
from scow.model.task import ExitStatus as ExitStatus
from scow.model.task import LogTarget as LogTarget
from scow.model.task import TaskSpec as TaskSpec
from scow.model.transfer import Checked, ListPart, Loaded
from scow.model.transfer import Credentials as Credentials
from scow.model.transfer import Found as Found
from scow.model.transfer import PullProgress as PullProgress
from scow.model.transfer import PushedTag as PushedTag
from scow.model.transfer import PushReport as PushReport
from scow.model.transfer import RemoteManifest as RemoteManifest
from scow.oci.reference import Reference
from scow.oci.runtime import Mount, Process

# ---------------------------------------------------------------- tasks (supervisor, zygote, monitor, runtime)


class Task(Protocol):
    """A running container seen from the daemon: a handle on its monitor. Lives until `exited` is done."""

    @property
    def pid(self) -> int:
        """The container init's pid on the host."""

    @property
    def started_at(self) -> int:
        """Unix nanoseconds of the execve."""

    @property
    def frozen(self) -> bool | None:
        """Whether it is paused; None when its monitor has not been spoken to."""

    async def wait(self) -> ExitStatus:
        """The exit status, after every byte of output is in the log and the record is durable. Any number of
        waiters.
        """

    async def signal(self, number: int) -> None:
        """Send a signal to init. NotFound when it has ended."""

    async def freeze(self, frozen: bool) -> None:
        """Pause or resume every process of the container by its cgroup."""

    async def resize(self, height: int, width: int) -> None:
        """Set the terminal's size in characters."""

    async def answers(self) -> None:
        """Nothing, when its monitor is there to be asked; Timeout else."""

    async def attach(self, attachment: Attachment) -> None:
        """Hand over a client connection. Returns once the monitor owns it; the monitor closes it at the end."""

    async def exec(
        self, exec_id: str, process: Process, terminal: bool, attachment: Attachment | None, stdin: bool
    ) -> "ExecTask":
        """Start one more process inside. Raises StartFailure when it cannot be executed."""

    def execs(self) -> "Sequence[tuple[str, ExecTask]]":
        """(exec id, handle) of execs that still run; after an adoption these are the old daemon's."""

    async def pids(self) -> list[int]:
        """Host pids of every process in the container's cgroup."""

    def on_oom(self, call: Callable[[], None]) -> int:
        """`call` once for each process that the kernel kills for lack of memory from now on; how many it has killed."""

    async def limit(self, resources: Mapping[str, Any]) -> None:
        """Put other limits in force: sections of a spec's linux.resources, whole. InvalidArgument when the kernel refuses."""

    def figures(self) -> tuple[int, dict[str, Any]]:
        """(version of its control groups, their raw figures: see linux.cgroup). Blocks a little: call it in a thread."""


class ExecTask(Protocol):
    """A running exec."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> ExitStatus:
        """As Task.wait; the attached connection has been flushed and closed before."""

    async def resize(self, height: int, width: int) -> None: ...

    async def kill(self) -> None:
        """SIGKILL to it and to what it has started in its session. NotFound when it has ended."""


class Supervisor(Protocol):
    """Starts tasks by the zygote and finds those that live on from an earlier daemon.

    Lifecycle: start(), adopt() once, then spawn() any number of times, close() (which leaves every task running).
    """

    async def start(self) -> None:
        """Bring up the zygote."""

    async def adopt(self) -> "Mapping[str, Task | ExitStatus]":
        """Every task that an earlier daemon left, by container id: alive, or ended meanwhile with its exit record.

        A monitor that was killed is an ExitStatus of code 255 once its container's processes are dead (they are
        killed).
        Whatever a half-made start left (task directory, cgroup) is undone. Exit records are kept until `forget`.
        """

    async def spawn(self, spec: TaskSpec) -> Task:
        """Run a container; returns after its execve succeeded. On StartFailure nothing is left behind."""

    async def forget(self, container_id: str, *, settled: bool = False) -> None:
        """The exit is recorded elsewhere: remove the task's directory and its exit record. With `settled`, return when
        nothing of it is left that a next task of the same container could meet.
        """

    async def close(self) -> None: ...


# ---------------------------------------------------------------- images and layers


class ImageStore(Protocol):
    """Images by id and by name. Reads are from memory and do not block."""

    def resolve(self, name: str) -> Image:
        """By reference, id or unambiguous id prefix (with or without sha256:); NotFound says `No such image:
        NAME:TAG`.
        """

    def variants(self, name: str) -> Sequence[Image]:
        """As `resolve`, and the images for other platforms that the name means besides; what this host runs is first."""

    def unreadable(self, name: str) -> str:
        """The full id that `name` is, of an image that cannot be used because its config cannot be read, and that can
        only be deleted; else "".
        """

    def images(self) -> Sequence[Image]: ...

    async def pull(
        self,
        reference: Reference,
        platform: str,
        credentials: Credentials | None,
        progress: Callable[[PullProgress], None],
    ) -> Image:
        """Fetch, verify, unpack and name an image. Cancelling the task stops the pull and leaves nothing visible."""

    async def pull_all(
        self,
        repository: Reference,
        platform: str,
        credentials: Credentials | None,
        progress: Callable[[PullProgress], None],
    ) -> Sequence[Image]:
        """`pull` for every tag of a repository, one after the other."""

    async def forget_downloads(self) -> int:
        """Remove what broken pulls have left for the next ones; returns the bytes."""

    async def push(
        self,
        reference: Reference,
        every_tag: bool,
        platform: str,
        credentials: Credentials | None,
        progress: PushReport,
    ) -> None:
        """Bring the image of a name (`every_tag`: of every tag of its repository) to its registry."""

    def save(self, selection: Sequence[tuple[Image, tuple[Reference, ...]]]) -> AsyncGenerator[bytes, None]:
        """The images with these names as one archive, in pieces. What cannot be saved is told before the first."""

    async def load(
        self, archive: AsyncIterator[bytes], platform: str, progress: Callable[[PullProgress], None]
    ) -> Sequence[Loaded]:
        """Every image of an archive verified, unpacked and named, or none. DataLoss, ResourceExhausted."""

    async def make(self, new: NewImage, write: Callable[[Callable[[bytes], object]], None]) -> Image:
        """Make an image whose layer is the archive that `write` writes (in a thread) into the function that it gets."""

    def fetch(self, url: str, progress: Callable[[PullProgress], None]) -> AsyncIterator[bytes]:
        """The bytes that an http or https URL leads to, for an import; Unavailable."""

    async def check(self, repair: bool, busy: Container[str] = frozenset()) -> Checked:
        """Hash every blob, compare every layer with its blob, look for what nothing names; put right what can be with
        `repair`. `busy`: chain ids of mounted layers, which are left alone. Registries are asked without credentials:
        those that one of them was given for must not go to another.
        """

    async def search(self, term: str, limit: int, credentials: Credentials | None) -> Sequence[Found]:
        """What a hub finds: Docker Hub, or for `HOST/term` that one."""

    async def remote_tags(self, reference: Reference, credentials: Credentials | None) -> list[str]:
        """The tags of a repository in its registry."""

    async def look(
        self, reference: Reference, credentials: Credentials | None, *, entries: bool = False
    ) -> RemoteManifest:
        """What the registry has under a name; with `entries` also the manifests of an index."""

    async def push_list(
        self,
        reference: Reference,
        data: bytes,
        media_type: str,
        sources: Sequence[ListPart],
        credentials: Credentials | None,
    ) -> tuple[str, list[str]]:
        """Put a manifest list into its repository, and first what it names from other repositories of that registry.
        Returns the digests of the list and of the manifests that were brought.
        """

    async def tag(self, image_id: str, reference: Reference, source: Reference | None = None) -> None:
        """One more name for an image; with `source`, a name of it, for all platforms that this name means."""

    async def untag(self, reference: Reference, image_id: str = "") -> None:
        """Take a name or a repository's digest away, from one image or ("") from all."""

    async def delete(self, image_id: str) -> Sequence[tuple[str, int]]:
        """Delete the config, the manifests and every layer that nothing uses. Returns what Docker tells as deleted (the
        config's id, chain ids that no image has any more, the top first), each with the bytes that it made free: none
        when the build cache or a container still uses the layer.
        """

    def layer_sizes(self, image_id: str) -> Sequence[int]:
        """Bytes of each unpacked layer, base first, one per diff id."""

    async def check_credentials(self, credentials: Credentials) -> str:
        """Log in at credentials.server_address (for POST /auth). Returns an identity token or ""; Unauthenticated
        if refused.
        """


class Snapshots(Protocol):
    """Root filesystems: read-only chains below, one writable layer per container on top."""

    async def prepare(self, container_id: str, chain_ids: Sequence[str]) -> None:
        """Make the container's writable layer (durable, empty). Conflict if it exists."""

    def mounts(self, container_id: str, chain_ids: Sequence[str], *, lasting: bool = True) -> Sequence[Mount]:
        """The mounts that make up the root (next to no I/O): one overlay; a bind for zero layers or native copies.
        What is written by a container that is not `lasting` need not be on disk when the machine goes down.
        """

    def directories(self, container_id: str, chain_ids: Sequence[str]) -> tuple[Sequence[str], str, str]:
        """(lower directories top first, upper directory, work directory) for inspect and diff."""

    def write_changes(
        self,
        container_id: str,
        chain_ids: Sequence[str],
        ours: Sequence[str],
        emit: Callable[[bytes], object],
        bound: Bound | None = None,
    ) -> None:
        """In a thread: the writable layer as a layer archive, piece by piece. `ours`: absolute paths of mount points
        that the engine may have made; while they are empty they are no change. `bound`: of the times in the archive.
        """

    def newest(self, container_id: str, chain_ids: Sequence[str], before: int) -> int:
        """In a thread: the newest time in the writable layer before a moment (Unix nanoseconds), in Unix seconds, rounded up;
        0 for none.
        """

    def write_whole(self, container_id: str, chain_ids: Sequence[str], emit: Callable[[bytes], object]) -> None:
        """In a thread: the container's whole tree as an archive."""

    def changes(self, container_id: str, chain_ids: Sequence[str], ours: Sequence[str]) -> Sequence[tuple[str, int]]:
        """In a thread: (absolute path, 0 modified | 1 added | 2 deleted), by path."""

    async def remove(self, container_id: str) -> None:
        """Remove the writable layer; no error if there is none. Big trees go in the background."""

    def sweep(self, keep: Mapping[str, Sequence[str]]) -> None:
        """At start: the containers that exist, with their chains. What belongs to none goes: a crash left it."""

    async def usage(self, container_id: str) -> int:
        """Bytes in the writable layer."""


# ---------------------------------------------------------------- network


class NetworkCatalog(Protocol):
    """The networks of the machine. Records are durable before anything is made of them."""

    def networks(self) -> Sequence[Network]:
        """bridge, host and none, then the user's, oldest first."""

    def host_changes(self) -> Sequence[str]:
        """What scow has changed of the host's settings, one sentence each."""

    async def create(self, request: NetworkRequest) -> Network:
        """A network that containers can be on when this returns; on an error nothing is left. Conflict when the name is
        taken, Forbidden when its range or bridge is.
        """

    async def remove(self, network: Network) -> None:
        """Forbidden while a container is on it, and for a predefined one."""


class Networking(NetworkCatalog, Protocol):
    """Containers on networks. Lifecycle: start() once, then connect, attach, detach, release; close() (traffic goes on)."""

    async def start(self, living: Mapping[str, Tenancy]) -> None:
        """Bring up networks, addresses, firewall table; keep what belongs to living containers, remove what else is
        ours.
        """

    async def connect(self, tenant: Tenant, wishes: Sequence[EndpointWish]) -> Sandbox:
        """Give a container a namespace, a place on each network and its published ports; all or nothing. The first wish
        is eth0. NotFound for a network that is not there, Forbidden for an address in use.

        A taken port raises Docker's sentence ("… Bind for 0.0.0.0:80 failed: port is already allocated").
        """

    async def reach(self, container_id: str, reaches: tuple[Reach, ...]) -> None:
        """What its links lead to has moved."""

    async def attach(self, tenant: Tenant, wish: EndpointWish, netns: int) -> Places:
        """One more network for a running container; `netns` is an fd of its namespace, the caller's."""

    async def detach(self, container_id: str, network_id: str, netns: int) -> Places:
        """One network less. Ports move to the network that has the default route then."""

    async def rename(self, container_id: str, name: str) -> None:
        """A running container is called so from now on."""

    async def release(self, container_id: str) -> None:
        """Give everything back (rules first, then address and veth, in the background where slow); idempotent."""

    async def close(self) -> None: ...


ProgressCallback = Callable[[PullProgress], None]

"""Doubles of what is below the engine: they keep records and can be told to fail."""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scow.engine.containers.stats import finder
from scow.engine.context import Engine, Settings
from scow.engine.events import EventBus
from scow.engine.ports import Attachment, ExitStatus, Sandbox, TaskSpec
from scow.engine.registry import ContainerRegistry
from scow.engine.sampler import Sampler
from scow.errors import Conflict, NotFound, StartFailure
from scow.metadata.containers import ContainerStore
from scow.metadata.database import Database
from scow.model.container import ContainerConfig
from scow.model.event import Event
from scow.model.image import HistoryEntry, Image
from scow.model.network import (
    AddressRange,
    Endpoint,
    EndpointWish,
    Network,
    NetworkRequest,
    Places,
    Reach,
    Tenancy,
    Tenant,
)
from scow.model.ports import PublishedPort
from scow.model.volume import Volume
from scow.oci.reference import Reference

MIGRATIONS = None
BRIDGE = Network("b" * 64, "bridge", "bridge", ranges=(AddressRange("10.9.0.0/24", "10.9.0.1"),), options={"a": "b"})
IMAGE = Image(
    id="sha256:" + "a" * 64,
    architecture="amd64",
    os="linux",
    created="2026-01-02T03:04:05.123456789Z",
    config=ContainerConfig(env=("PATH=/bin", "A=image", "BARE"), cmd=("sh",), labels={"from": "image"}),
    diff_ids=("sha256:" + "d" * 64,),
    chain_ids=("sha256:" + "d" * 64,),
    history=(
        HistoryEntry("2026-01-02T03:04:05Z", "ADD rootfs"),
        HistoryEntry("2026-01-02T03:04:06Z", "CMD sh", empty_layer=True),
    ),
    tags=("busybox:latest",),
    size=1234,
)


class FakeTask:
    """A process that ends when it is told to: SIGTERM and SIGKILL by signal, or `end`."""

    def __init__(self, spec: TaskSpec, stubborn: bool = False) -> None:
        self.spec, self.stubborn = spec, stubborn
        self.pid, self.started_at = 4321, 1_000
        self.signals: list[int] = []
        self.frozen = False
        self.limits: list[Any] = []
        self.refusal: Exception | None = None
        self.size: tuple[int, int] | None = None
        self.attached: list[Attachment] = []
        self._exit: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    def end(self, code: int, at: int = 2_000) -> None:
        if not self._exit.done():
            self._exit.set_result(ExitStatus(code, at))

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self._exit)

    async def signal(self, number: int) -> None:
        if self._exit.done():
            raise NotFound("it has ended")
        self.signals.append(number)
        if number == 9 or (number == 15 and not self.stubborn):
            self.end(128 + number)

    async def freeze(self, frozen: bool) -> None:
        self.frozen = frozen

    async def resize(self, height: int, width: int) -> None:
        self.size = (height, width)

    async def answers(self) -> None: ...

    async def attach(self, attachment: Attachment) -> None:
        self.attached.append(attachment)

    async def exec(self, exec_id: str, process: Any, terminal: bool, attachment: Any, stdin: bool) -> "FakeTask":
        if process["args"][0] == "nosuch":
            raise StartFailure('OCI runtime exec failed: exec: "nosuch": executable file not found in $PATH: unknown')
        return FakeTask(self.spec)

    def execs(self) -> list[Any]:
        return []

    async def pids(self) -> list[int]:
        return [self.pid]

    def on_oom(self, call: Any) -> int:
        self.kill_for_memory = call
        return 0

    async def limit(self, resources: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.limits.append(resources)

    def figures(self) -> tuple[int, dict[str, Any]]:
        return 2, {"cpu": {"total": 7}}


class FakeSupervisor:
    def __init__(self) -> None:
        self.tasks: dict[str, FakeTask] = {}
        self.forgotten: list[str] = []
        self.fail: Exception | None = None
        self.stubborn = False
        self.left: dict[str, Any] = {}

    async def start(self) -> None: ...

    async def adopt(self) -> dict[str, Any]:
        return dict(self.left)

    async def spawn(self, spec: TaskSpec) -> FakeTask:
        if self.fail is not None:
            raise self.fail
        task = self.tasks[spec.id] = FakeTask(spec, self.stubborn)
        return task

    async def forget(self, container_id: str, *, settled: bool = False) -> None:
        self.forgotten.append(container_id)

    async def close(self) -> None: ...


class FakeNetworking:
    def __init__(self) -> None:
        self.connected: dict[str, Endpoint] = {}
        self.fail: Exception | None = None
        self.started: Any = None
        self.reaches: dict[str, tuple[Reach, ...]] = {}

    async def start(self, living: Mapping[str, Tenancy]) -> None:
        self.started = living

    def networks(self) -> Sequence[Network]:
        return (BRIDGE, Network("h" * 64, "host", "host"), Network("n" * 64, "none", "null"))

    async def connect(self, tenant: Tenant, wishes: Sequence[EndpointWish]) -> Sandbox:
        if self.fail is not None:
            raise self.fail
        for wish in wishes:
            if wish.network != "bridge":
                raise NotFound(f"network {wish.network} not found")
        endpoint = Endpoint(BRIDGE.id, "bridge", "e" * 64, "10.9.0.2", 24, "10.9.0.1", "02:42:0a:09:00:02")
        self.connected[tenant.id] = endpoint
        published = [PublishedPort(b.port, b.host_ip or "0.0.0.0", int(b.host_port or 49153)) for b in tenant.bindings]
        return Sandbox(os.open("/dev/null", os.O_RDONLY), (endpoint,), published, [socket.socket()])

    async def create(self, request: NetworkRequest) -> Network:
        raise NotImplementedError

    async def remove(self, network: Network) -> None:
        raise NotImplementedError

    async def attach(self, tenant: Tenant, wish: EndpointWish, netns: int) -> Places:
        raise NotImplementedError

    async def detach(self, container_id: str, network_id: str, netns: int) -> Places:
        raise NotImplementedError

    async def rename(self, container_id: str, name: str) -> None: ...

    async def reach(self, container_id: str, reaches: tuple[Reach, ...]) -> None:
        self.reaches[container_id] = reaches

    def host_changes(self) -> Sequence[str]:
        return ()

    async def release(self, container_id: str) -> None:
        self.connected.pop(container_id, None)

    async def close(self) -> None: ...


class FakeImages:
    def __init__(self) -> None:
        self.all = {IMAGE.id: IMAGE}
        self.broken: set[str] = set()

    def unreadable(self, name: str) -> str:
        return name if name in self.broken else ""

    def resolve(self, name: str) -> Image:
        for image in self.all.values():
            if (
                name in image.tags
                or f"{name}:latest" in image.tags
                or image.id.removeprefix("sha256:").startswith(name.removeprefix("sha256:"))
            ):
                return image
        raise NotFound(f"No such image: {Reference.parse(name).with_default_tag().familiar}")

    def variants(self, name: str) -> Sequence[Image]:
        return [self.resolve(name)]

    def images(self) -> Sequence[Image]:
        return list(self.all.values())

    def layer_sizes(self, image_id: str) -> Sequence[int]:
        return [self.all[image_id].size]

    async def untag(self, reference: Reference, image_id: str = "") -> None:
        from dataclasses import replace

        for image in list(self.all.values()):
            self.all[image.id] = replace(image, tags=tuple(t for t in image.tags if t != reference.familiar))

    async def tag(self, image_id: str, reference: Reference, source: Reference | None = None) -> None:
        from dataclasses import replace

        image = self.all[image_id]
        self.all[image_id] = replace(image, tags=(*image.tags, reference.familiar))

    async def delete(self, image_id: str) -> Sequence[tuple[str, int]]:
        if image_id in self.broken:
            self.broken.remove(image_id)
        else:
            del self.all[image_id]
        return [(image_id, 0)]


class FakeSnapshots:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.prepared: set[str] = set()
        self.fail: Exception | None = None

    async def prepare(self, container_id: str, chain_ids: Sequence[str]) -> None:
        if self.fail is not None:
            raise self.fail
        self.prepared.add(container_id)

    def mounts(self, container_id: str, chain_ids: Sequence[str], *, lasting: bool = True) -> list[dict[str, Any]]:
        return [{"type": "overlay", "source": "overlay", "options": []}]

    def directories(self, container_id: str, chain_ids: Sequence[str]) -> tuple[list[str], str, str]:
        return [str(self.root / "lower")], str(self.root / "upper"), str(self.root / "work")

    async def remove(self, container_id: str) -> None:
        self.prepared.discard(container_id)

    def sweep(self, keep: Any) -> None:
        self.prepared = {name for name in self.prepared if name in keep}

    async def usage(self, container_id: str) -> int:
        return 7


class FakeVolumes:
    def __init__(self) -> None:
        self.all: dict[str, Volume] = {}
        self.filled: list[str] = []
        self.holders: set[tuple[str, str]] = set()

    async def hold(self, name: str, holder: str) -> None:
        self.holders.add((name, holder))

    def held(self, name: str, holder: str) -> None:
        self.holders.add((name, holder))

    async def let_go(self, name: str, holder: str) -> None:
        self.holders.discard((name, holder))

    async def let_strangers_go(self) -> None: ...

    async def create(
        self, name: str = "", *, labels: Any = None, options: Any = None, anonymous: bool = False
    ) -> Volume:
        name = name or f"{len(self.all):064x}"
        return self.all.setdefault(name, Volume(name, f"/volumes/{name}/_data", anonymous=anonymous))

    def get(self, name: str) -> Volume:
        if name not in self.all:
            raise NotFound(f"get {name}: no such volume")
        return self.all[name]

    def list(self) -> Sequence[Volume]:
        return list(self.all.values())

    async def remove(self, name: str) -> None:
        if name not in self.all:
            raise Conflict("gone")
        del self.all[name]

    async def copy_up(self, name: str, lowers: Sequence[str], target: str) -> None:
        self.filled.append(name)


class FakeBuilder:
    """An empty build cache."""

    def __init__(self) -> None:
        self.cache = self.mounts = self.contexts = self

    def rows(self) -> tuple[()]:
        return ()

    def all(self) -> tuple[()]:
        return ()


class World:
    """An engine on doubles, with its parts by name and the events it published."""

    def __init__(self, root: Path, database: Database | None = None) -> None:
        from scow.metadata import containers

        self.root = root
        for name in ("data/containers", "run"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.database = database or Database(str(root / "scow.db"), ((1, containers.SCHEMA),))
        self.supervisor, self.networking, self.images = FakeSupervisor(), FakeNetworking(), FakeImages()
        self.snapshots, self.volumes = FakeSnapshots(root), FakeVolumes()
        self.events: list[Event] = []
        bus = EventBus()
        publish = bus.publish
        bus.publish = lambda event: (self.events.append(event), publish(event))[1]  # type: ignore[method-assign]
        self.now = 10**18
        registry = ContainerRegistry(ContainerStore(self.database))
        registry.load()
        self.engine = Engine(
            settings=Settings(data_root=str(root / "data"), exec_root=str(root / "run")),
            id="engine",
            containers=registry,
            images=self.images,
            snapshots=self.snapshots,
            networking=self.networking,
            supervisor=self.supervisor,  # type: ignore[arg-type]
            volumes=self.volumes,  # type: ignore[arg-type]
            events=bus,
            clock=self.clock,
            export=lambda container: None,
            sampler=Sampler(finder(registry)),
            builder=FakeBuilder(),  # type: ignore[arg-type]
        )

    def clock(self) -> int:
        self.now += 1
        return self.now

    def actions(self) -> list[str]:
        return [f"{event.kind} {event.action}" for event in self.events]

    def reopened(self) -> "World":
        """The next daemon on the same records."""
        return World(self.root, self.database)

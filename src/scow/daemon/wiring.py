"""The one place where the contracts of engine/ports.py meet their implementations."""

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from scow.build.builder import Builder, Places
from scow.daemon.config import Config
from scow.engine.containers.stats import finder
from scow.engine.context import Engine, Settings
from scow.engine.event_log import EventLog
from scow.engine.events import EventBus
from scow.engine.ports import ProgressCallback
from scow.engine.registry import ContainerRegistry
from scow.engine.sampler import Sampler
from scow.errors import Conflict
from scow.images.store import open_store
from scow.linux import inode_flags
from scow.metadata import builds
from scow.metadata.containers import ContainerStore
from scow.metadata.database import Database
from scow.metadata.migrations import MIGRATIONS
from scow.model.container import Container
from scow.network.dns.service import Names
from scow.network.networking import open_networking
from scow.server.docker.app import Wiring
from scow.server.docker.export import config_v2, hostconfig
from scow.supervisor.supervisor import open_supervisor
from scow.volumes.local import LocalVolumes


@dataclass(frozen=True, slots=True)
class Parts:
    """The engine and what must be closed in the end."""

    engine: Engine
    front: Wiring
    database: Database
    lock: int
    event_log: EventLog


def build(config: Config) -> Parts:
    """Make the directories, take the locks and put the parts together; nothing runs yet."""
    os.umask(0o022)
    _directory(config.data_root, 0o710)
    _directory(config.exec_root, 0o711)
    for name in ("containers", "volumes"):
        _directory(f"{config.data_root}/{name}", 0o710 if name == "containers" else 0o701)
    inode_flags.spread(f"{config.data_root}/containers")  # a start makes seven files in there
    for name in ("rootfs", "tasks"):
        _directory(f"{config.exec_root}/{name}", 0o700)
    lock = _lock(config)
    database = Database(f"{config.data_root}/scow.db", MIGRATIONS)
    steps = builds.load(database)
    images, snapshots = open_store(
        config.data_root,
        database,
        insecure=config.insecure_registries,
        mirrors=config.registry_mirrors,
        keep=builds.ids_of(steps),
    )
    networking = open_networking(
        database=database,
        exec_root=config.exec_root,
        bridge=config.bridge or "scow0",
        bip=config.bip,
        mtu=config.mtu,
        default_address=config.ip,
        address_pools=tuple((pool["base"], int(pool["size"])) for pool in config.default_address_pools),
        publish_policy=config.publish_policy,
        icc=config.icc,
        names=Names(f"{config.exec_root}/network"),
    )
    containers = ContainerRegistry(ContainerStore(database))
    containers.load()
    event_log = EventLog(f"{config.data_root}/events/events.jsonl")
    engine = Engine(
        settings=_settings(config),
        id=_engine_id(config.data_root),
        containers=containers,
        images=images,
        snapshots=snapshots,
        networking=networking,
        supervisor=open_supervisor(exec_root=config.exec_root, data_root=config.data_root),
        volumes=LocalVolumes(f"{config.data_root}/volumes", database),
        events=EventBus(event_log),
        clock=time.time_ns,
        export=_exporter(config.data_root),
        sampler=Sampler(finder(containers)),
        builder=Builder(
            database,
            images.parts,
            images,
            steps,
            Places(
                f"{config.data_root}/build-mounts",
                f"{config.data_root}/build-contexts",
                f"{config.exec_root}/build-secrets",
            ),
        ),
    )

    async def starter_images(names: tuple[str, ...], progress: ProgressCallback) -> object:
        from scow.images.bootstrap import bootstrap  # seldom used, and not small

        return await bootstrap(images, names, progress)

    return Parts(engine, Wiring(bootstrap=starter_images), database, lock, event_log)


def _settings(config: Config) -> Settings:
    return Settings(
        data_root=config.data_root,
        exec_root=config.exec_root,
        default_log_driver=config.log_driver,
        default_log_options=dict(config.log_opts),
        default_shm_size=config.default_shm_size,
        default_init=config.init,
        default_ulimits=config.default_ulimits,
        cgroup_parent=config.cgroup_parent,
        labels=config.labels,
        insecure_registries=config.insecure_registries,
        registry_mirrors=config.registry_mirrors,
        dns=config.dns,
        dns_search=config.dns_search,
        dns_options=config.dns_opts,
        debug=config.debug,
        runtimes=config.runtimes,
        default_runtime=config.default_runtime,
    )


def _directory(path: str, mode: int) -> None:
    os.makedirs(path, mode, exist_ok=True)
    os.chmod(path, mode)


def _lock(config: Config) -> int:
    """One daemon for one data root and one exec root; the kernel gives the locks back when the process dies."""
    held = -1
    for root in (config.exec_root, config.data_root):
        fd = os.open(f"{root}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise Conflict(
                f"another daemon uses {root}: stop it, or choose another --data-root and --exec-root"
            ) from None
        held = fd
    return held


def _engine_id(data_root: str) -> str:
    """The same for ever for one data root, in the form of a UUID."""
    path = f"{data_root}/engine-id"
    try:
        with open(path, encoding="ascii") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        digest = hashlib.sha256(os.urandom(32)).hexdigest()
        text = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
        with open(path + ".new", "w", encoding="ascii") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(path + ".new", path)
        return text


def _exporter(data_root: str) -> Callable[[Container], None]:
    """Writes config.v2.json and hostconfig.json, the copies for outside tools, when the loop has nothing better to
    do.
    """
    pending: dict[str, Container] = {}

    def write() -> None:
        while pending:
            _, container = pending.popitem()
            directory = f"{data_root}/containers/{container.id}"
            for name, text in (
                ("config.v2.json", config_v2(container, data_root)),
                ("hostconfig.json", hostconfig(container)),
            ):
                _replace(f"{directory}/{name}", text)

    def export(container: Container) -> None:
        if not pending:
            asyncio.get_running_loop().call_later(0.05, write)
        pending[container.id] = container

    return export


def _replace(path: str, data: bytes) -> None:
    """Not synced: the database is the truth, this is a copy. A container that is gone meanwhile needs none."""
    try:
        fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return
    with os.fdopen(fd, "wb") as stream:
        stream.write(data)
    os.rename(path + ".new", path)

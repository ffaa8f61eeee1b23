"""The engine's parts in one frozen bundle. It has fields and no verbs: the verbs are the modules beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from scow.build.builder import Builder
from scow.engine.events import EventBus
from scow.engine.ports import ImageStore, Networking, Snapshots, Supervisor
from scow.engine.registry import ContainerRegistry
from scow.engine.sampler import Sampler
from scow.model.container import Container
from scow.model.runtime import NATIVE, Runtime
from scow.volumes.local import LocalVolumes


@dataclass(frozen=True, slots=True)
class Settings:
    """What daemon.json and the flags decided. Sizes in bytes, times in seconds."""

    data_root: str
    exec_root: str
    default_log_driver: str = "json-file"
    default_log_options: dict[str, str] = field(default_factory=dict)
    default_shm_size: int = 64 << 20
    default_stop_timeout: int = 10
    default_init: bool = False
    default_ulimits: tuple[str, ...] = ()
    cgroup_parent: str = "scow"
    labels: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    debug: bool = False
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    default_runtime: str = NATIVE


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a use case may touch."""

    settings: Settings
    id: str
    containers: ContainerRegistry
    images: ImageStore
    snapshots: Snapshots
    networking: Networking
    supervisor: Supervisor
    volumes: LocalVolumes
    events: EventBus
    clock: Callable[[], int]
    export: Callable[[Container], None]
    sampler: Sampler
    builder: Builder

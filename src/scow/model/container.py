"""The Container record: what was asked for (config, host config) and what is (status).

The config never changes after create; the status is replaced by transitions (see model/transitions.py).
Sizes are bytes, times are Unix nanoseconds (0: never), durations are nanoseconds unless the name says otherwise.
"""

from dataclasses import dataclass, field

from scow.model.health import Health
from scow.model.health import HealthCheck as HealthCheck
from scow.model.mounts import MountPoint, MountRequest
from scow.model.network import Endpoint, EndpointWish
from scow.model.ports import Port, PortBinding, PublishedPort


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """The process side of a container: command, environment, streams. After create, image defaults are merged in.

    `cmd` and `entrypoint` are None when not given (an image's value then counts); an empty tuple is an explicit reset.
    """

    image: str = ""
    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    working_dir: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    exposed_ports: tuple[Port, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: HealthCheck | None = None
    on_build: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    network_disabled: bool = False
    mac_address: str = ""
    args_escaped: bool = False


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """name: no, always, unless-stopped, on-failure. maximum_retry_count counts only for on-failure (0: no limit)."""

    name: str = "no"
    maximum_retry_count: int = 0


@dataclass(frozen=True, slots=True)
class LogConfig:
    """driver "" means the daemon's default, which create fills in."""

    driver: str = ""
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A resource limit by its short name (nofile, nproc, …); -1 is unlimited."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Device:
    """A host device to be made visible at `target` with permissions out of "rwm"."""

    source: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits. 0 or "" means not set, except where None is (pids_limit -1: unlimited; memory_swap -1: unlimited)."""

    memory: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    blkio_weight: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """Another container on the default bridge that this one calls `alias`. name: the other one's when the link was made."""

    alias: str
    container_id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """The host side of a container: limits, privilege, mounts, network mode.

    network_mode: bridge (also "default"), none, host, container:<id>, or a network's name. Modes of namespaces: "" is
    the default, "host", "private", "shareable", "container:<id>". shown_empty: names of list options that a client gave
    as empty lists; fronts show them so instead of as absent. health_on_failure: see model/health.py (ACTIONS). links: as
    they were asked for (`CONTAINER:ALIAS`); Status.links has what became of them.
    """

    mounts: tuple[MountRequest, ...] = ()
    binds: tuple[str, ...] | None = None
    volumes_from: tuple[str, ...] = ()
    container_id_file: str = ""
    log: LogConfig = field(default_factory=LogConfig)
    network_mode: str = "default"
    port_bindings: tuple[PortBinding, ...] = ()
    publish_all_ports: bool = False
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    console_size: tuple[int, int] = (0, 0)
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    read_only_rootfs: bool = False
    security_opt: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    resources: Resources = field(default_factory=Resources)
    devices: tuple[Device, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    init: bool | None = None
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""
    userns_mode: str = ""
    cgroupns_mode: str = ""
    cgroup_parent: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] = field(default_factory=dict)
    oom_score_adj: int = 0
    masked_paths: tuple[str, ...] | None = None
    read_only_paths: tuple[str, ...] | None = None
    runtime: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    health_on_failure: str = ""
    links: tuple[str, ...] = ()
    shown_empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """What a container is doing. `state`: created, running, paused, restarting, removing, exited, dead.

    networks: where it is to be when it runs; None in records of an older scow: what its network mode says. links: those of
    the default bridge.
    """

    state: str = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: int = 0
    finished_at: int = 0
    restart_count: int = 0
    stopped_by_user: bool = False
    endpoints: tuple[Endpoint, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    sandbox_id: str = ""
    networks: tuple[EndpointWish, ...] | None = None
    health: Health | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """One container. `name` has no leading slash. `image_id` is the image config's digest ("sha256:…")."""

    id: str
    name: str
    created_at: int
    image_id: str
    image_ref: str
    config: ContainerConfig
    host: HostConfig
    path: str = ""
    args: tuple[str, ...] = ()
    platform: str = "linux"
    mount_points: tuple[MountPoint, ...] = ()
    layers: tuple[str, ...] = ()
    status: Status = field(default_factory=Status)

"""Create: check, merge with the image, make the writable layer and the directory, and write the record."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from scow.engine import runtimes
from scow.engine.containers import files, happenings, mounting, names, validate
from scow.engine.context import Engine
from scow.engine.networks import links, wishes
from scow.errors import Conflict, InvalidArgument, NotFound
from scow.linux.cgroup_support import accounts_swap
from scow.model import health
from scow.model.container import Container, ContainerConfig, HostConfig, LogConfig, Resources, RestartPolicy, Status
from scow.model.event import Event
from scow.model.image import Image, best
from scow.model.network import EndpointWish
from scow.oci.platform import Platform, host_platform


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A container to be. `name` "" for a generated one; `platform` "" for the host's."""

    name: str
    config: ContainerConfig
    host: HostConfig
    platform: str = ""
    networking: Mapping[str, EndpointWish] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Created:
    """The new id and what the user should know."""

    id: str
    warnings: tuple[str, ...] = ()


async def create(engine: Engine, request: CreateRequest) -> Created:
    """A container in state created; when this returns it survives anything. On an error nothing is left."""
    host = defaults(engine, request.host)
    validate.check(request.config, host)
    runtimes.check(engine.settings, host.runtime)
    image = _image(engine, request)
    host = resolve_modes(engine, host)
    container_id = secrets.token_hex(32)
    config = _merge(request.config, image, container_id, host, _network_owner(engine, host))
    networks = wishes.at_create(engine, host.network_mode, config.mac_address, request.networking)
    command = _command(config)
    name = _take_name(engine, request.name, container_id)
    try:
        return await _make(engine, request, container_id, name, config, host, image, command, networks)
    except BaseException:
        if container_id not in engine.containers:
            engine.containers.release(name)
        raise


async def _make(
    engine: Engine,
    request: CreateRequest,
    container_id: str,
    name: str,
    config: ContainerConfig,
    host: HostConfig,
    image: Image,
    command: tuple[str, ...],
    networks: tuple[EndpointWish, ...],
) -> Created:
    linked = links.at_create(engine, host)
    directory = files.directory(engine, container_id)
    points, made = await mounting.resolve(engine, host, config)
    try:
        os.mkdir(directory, 0o710)
        await engine.snapshots.prepare(container_id, image.chain_ids)
        container = Container(
            id=container_id,
            name=name,
            created_at=engine.clock(),
            image_id=str(image.id),  # a plain string, whatever the store uses
            image_ref=request.config.image,
            config=config,
            host=host,
            path=command[0],
            args=command[1:],
            mount_points=points,
            layers=tuple(str(chain_id) for chain_id in image.chain_ids),
            status=Status(networks=networks, links=linked),
        )
        await mounting.fill_volumes(engine, container)
        entry = await engine.containers.add(container)
    except BaseException:
        await engine.snapshots.remove(container_id)
        files.remove(engine, container_id)
        await mounting.drop(engine, made)
        raise
    engine.export(entry.container)
    for volume in made:
        engine.events.publish(Event("volume", "create", volume.name, {"driver": "local"}, engine.clock()))
    happenings.publish(engine, entry.container, "create")
    return Created(container_id, _warnings(request, host, image))


def defaults(engine: Engine, host: HostConfig) -> HostConfig:
    """Fill in what the daemon's settings decide."""
    settings = engine.settings
    log = host.log
    if not log.driver:
        log = LogConfig(settings.default_log_driver, {**settings.default_log_options, **log.options})
    elif log.driver == settings.default_log_driver:
        log = LogConfig(log.driver, {**settings.default_log_options, **log.options})
    return replace(
        host,
        log=log,
        resources=_with_swap(host.resources),
        shm_size=host.shm_size or settings.default_shm_size,
        ipc_mode=host.ipc_mode or "private",
        cgroupns_mode=host.cgroupns_mode or "private",
        network_mode=host.network_mode or "default",
        restart_policy=host.restart_policy if host.restart_policy.name else RestartPolicy(),
        runtime=host.runtime or settings.default_runtime,
    )


def _with_swap(limits: Resources) -> Resources:
    """As much swap as memory, unless something else was asked for: it is the container's own from now on. No limit where
    the kernel has none.
    """
    if limits.memory <= 0 or limits.memory_swap != 0:
        return limits
    return replace(limits, memory_swap=limits.memory * 2 if accounts_swap() else -1)


def _image(engine: Engine, request: CreateRequest) -> Image:
    name = request.config.image
    if not name:
        raise InvalidArgument("no image was given")
    images = engine.images.variants(name)
    if not request.platform:
        return images[0]
    wanted = Platform.parse(request.platform)
    found = best(images, wanted)
    if found is None:
        raise NotFound(
            f"image with reference {name} was found but does not match the specified platform: "
            f"wanted {wanted}, actual: {images[0].platform}"
        )
    return found


def resolve_modes(engine: Engine, host: HostConfig) -> HostConfig:
    """container:NAME becomes container:ID."""

    def by_id(mode: str) -> str:
        if not mode.startswith("container:"):
            return mode
        return "container:" + engine.containers.find(mode.removeprefix("container:")).container.id

    return replace(
        host, network_mode=by_id(host.network_mode), ipc_mode=by_id(host.ipc_mode), pid_mode=by_id(host.pid_mode)
    )


def _network_owner(engine: Engine, host: HostConfig) -> ContainerConfig | None:
    if not host.network_mode.startswith("container:"):
        return None
    return engine.containers.find(host.network_mode.removeprefix("container:")).container.config


def _merge(
    config: ContainerConfig, image: Image, container_id: str, host: HostConfig, shared: ContainerConfig | None
) -> ContainerConfig:
    """The user's config over the image's, by Docker's rules. `shared`: whose network, and so names, it has."""
    base = image.config
    names = {word.partition("=")[0] for word in config.env}
    # only NAME=value counts in an image; a bare NAME is never looked up anywhere (CVE-2026-57231)
    inherited = tuple(w for w in base.env if "=" in w[1:] and w.partition("=")[0] not in names)
    entrypoint, cmd = config.entrypoint, config.cmd
    if entrypoint is None:
        entrypoint = base.entrypoint
        if not cmd:
            cmd = base.cmd
    elif entrypoint == ("",):
        entrypoint = None
    hostname = shared.hostname if shared else config.hostname
    if not hostname:
        hostname = os.uname().nodename if host.network_mode == "host" or host.uts_mode == "host" else container_id[:12]
    return replace(
        config,
        hostname=hostname,
        domainname=shared.domainname if shared else config.domainname,
        user=config.user or base.user,
        env=config.env + inherited,
        entrypoint=entrypoint or None,
        cmd=cmd,
        working_dir=config.working_dir or base.working_dir,
        labels={**base.labels, **config.labels},
        exposed_ports=tuple(
            sorted({*base.exposed_ports, *config.exposed_ports, *(b.port for b in host.port_bindings)})
        ),
        volumes=tuple(sorted({*base.volumes, *config.volumes})),
        stop_signal=config.stop_signal or base.stop_signal,
        healthcheck=health.merge(config.healthcheck, base.healthcheck),
        shell=config.shell or base.shell,
        on_build=(),
    )


def _command(config: ContainerConfig) -> tuple[str, ...]:
    command = (*(config.entrypoint or ()), *(config.cmd or ()))
    if not command:
        raise InvalidArgument("no command specified")
    return command


def _take_name(engine: Engine, wanted: str, container_id: str) -> str:
    if wanted:
        name = names.check(wanted)
        engine.containers.reserve(name, container_id)
        return name
    for attempt in range(100):
        name = names.generate() + (str(attempt) if attempt > 3 else "")
        try:
            engine.containers.reserve(name, container_id)
            return name
        except Conflict:
            continue
    engine.containers.reserve(container_id[:12], container_id)
    return container_id[:12]


def _warnings(request: CreateRequest, host: HostConfig, image: Image) -> tuple[str, ...]:
    warnings = []
    if host.resources.memory_swap == -1 and request.host.resources.memory_swap != -1:
        warnings.append(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
            "Memory limited without swap."
        )
    here = host_platform()
    if not request.platform and image.architecture and here.runs(image.platform) is None:
        warnings.append(
            f"The requested image's platform ({image.platform}) does not match the detected host platform ({here}) and "
            "no specific platform was requested"
        )
    if host.port_bindings and host.network_mode == "host":
        warnings.append("Published ports are discarded when using host network mode")
    if host.resources.oom_kill_disable and not host.resources.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    return tuple(warnings)

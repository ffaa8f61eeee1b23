"""Start: network, files, spec, task. Each step registers its undo; a failure leaves the container as startable as
before.
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace

from scow.background import spawn
from scow.engine import runtimes
from scow.engine.containers import ending, files, happenings, health, mounting
from scow.engine.context import Engine
from scow.engine.networks import links, name_files, wishes
from scow.engine.ports import Attachment, LogTarget, Sandbox, Task, TaskSpec
from scow.engine.registry import Entry
from scow.engine.spec import build
from scow.errors import Conflict, InvalidArgument, NotFound, NotModified, ScowError
from scow.logs.attributes import attributes
from scow.model import transitions
from scow.model.container import Container
from scow.model.network import Endpoint


async def start(engine: Engine, name: str, detach_keys: str = "") -> None:
    """Run a created or exited container. NotModified when it runs already."""
    entry = engine.containers.find(name)
    async with entry.lock:
        state = entry.container.status.state
        if state == "paused":
            raise Conflict("cannot start a paused container, try unpause instead")
        if entry.running or state == "running":
            raise NotModified(f"container {name} is already running")
        if entry.removing or state in ("removing", "dead"):
            raise Conflict("container is marked for removal and cannot be started")
        ending.count_anew(engine, entry)
        await launch(engine, entry)


async def launch(engine: Engine, entry: Entry) -> None:
    """Start it; the caller holds the lock. On failure the error is recorded, and --rm removes the container."""
    await ending.kept(entry)
    engine.containers.drop_execs(entry)
    pending, entry.pending = entry.pending, []
    try:
        async with contextlib.AsyncExitStack() as undo:
            task = await _bring_up(engine, entry, pending, undo)
            undo.pop_all()
    except ScowError as error:
        await _record_failure(engine, entry, error)
        raise
    finally:
        for attachment in pending:
            attachment.connection.close()
    entry.task = task
    health.begin(engine, entry)
    spawn(ending.watch(engine, entry, task), f"watch-{entry.container.id[:12]}")
    happenings.publish(engine, entry.container, "start")
    await links.moved(engine, entry.container)


async def _bring_up(engine: Engine, entry: Entry, pending: list[Attachment], undo: contextlib.AsyncExitStack) -> Task:
    container = entry.container
    mounting.make_bind_sources(container)
    joined, shm_source = joined_namespaces(engine, container)
    await mounting.hold(engine, container)
    undo.push_async_callback(mounting.let_go, engine, container)
    sandbox = await _connect(engine, container)
    if sandbox is not None:
        undo.push_async_callback(engine.networking.release, container.id)
    try:
        status = replace(
            container.status,
            endpoints=sandbox.endpoints if sandbox else _plain_endpoints(engine, container),
            networks=wishes.resolved(engine, container),
            published=tuple(sandbox.published) if sandbox else (),
            sandbox_id=container.id if sandbox else "",
        )
        name_files.write(
            engine, container, status.endpoints, sandbox.resolver if sandbox else "", links.hosts(engine, container)
        )
        spec = TaskSpec(
            id=container.id,
            spec=build.build(container, surroundings(engine, container, joined, shm_source)),
            rootfs=engine.snapshots.mounts(container.id, container.layers, lasting=not container.host.auto_remove),
            log=_log_target(engine, container),
            exit_path=f"{files.directory(engine, container.id)}/exit.json",
            # --rm: when the machine goes down, the container goes with its exit
            durable_exit=not container.host.auto_remove,
            terminal=container.config.tty,
            open_stdin=container.config.open_stdin,
            stdin_once=container.config.stdin_once,
            console_size=container.host.console_size,
            runtime=runtimes.command(engine.settings, container.host.runtime),
            netns=sandbox.netns if sandbox else None,
            keep=tuple(sandbox.reserved) if sandbox else (),
            attachments=tuple(pending),
        )
        # The addresses must be known to the next daemon before the task can exist; both go on at once.
        entry.container = replace(container, status=status)
        saved = spawn(engine.containers.save(entry), f"save-{container.id[:12]}")
        try:
            task = await engine.supervisor.spawn(spec)
        finally:
            await asyncio.wait((saved,))
        if sandbox is not None:
            happenings.publish_network(engine, entry.container, "connect")
        happenings.publish_volumes(engine, entry.container, "mount")
        engine.containers.set_status(entry, transitions.started(status, pid=task.pid, at=task.started_at))
        spawn(engine.containers.save(entry), f"save-{container.id[:12]}")
        return task
    finally:
        if sandbox is not None:
            os.close(sandbox.netns)
            for reserved in sandbox.reserved:
                reserved.close()


async def _connect(engine: Engine, container: Container) -> Sandbox | None:
    wanted = wishes.plugged(container)
    return await engine.networking.connect(links.tenant(engine, container), wanted) if wanted else None


def _plain_endpoints(engine: Engine, container: Container) -> tuple[Endpoint, ...]:
    """host and none have an endpoint without an address; a shared namespace has none of its own."""
    names = [wish.network for wish in wishes.of(container)]
    return tuple(
        Endpoint(network.id, network.name, endpoint_id="")
        for network in engine.networking.networks()
        if network.name in names
    )


def joined_namespaces(engine: Engine, container: Container) -> tuple[Mapping[str, str], str | None]:
    """Namespaces of other containers to enter, by kind, and where their /dev/shm is."""
    host, joined, shm = container.host, {}, None
    for kind, mode in (("network", host.network_mode), ("pid", host.pid_mode), ("ipc", host.ipc_mode)):
        if not mode.startswith("container:"):
            continue
        other = engine.containers.find(mode.removeprefix("container:")).container
        if other.status.state not in transitions.RUNNING:
            what = "network" if kind == "network" else f"{kind.upper()} namespace"
            raise Conflict(f"cannot join {what} of a non running container: {other.id}")
        joined[kind] = f"/proc/{other.status.pid}/ns/{'net' if kind == 'network' else kind}"
        if kind == "ipc":
            if other.host.ipc_mode not in ("shareable", "host"):
                raise Conflict(f"non-shareable IPC (hint: use IpcMode:shareable for the donor container): {other.id}")
            shm = f"/proc/{other.status.pid}/root/dev/shm"
    if host.ipc_mode == "host":
        shm = "/dev/shm"
    return joined, shm


def surroundings(
    engine: Engine, container: Container, joined: Mapping[str, str], shm_source: str | None
) -> build.Surroundings:
    settings = engine.settings
    wants_init = settings.default_init if container.host.init is None else container.host.init
    init = build.find_init() if wants_init else ""
    if wants_init and not init:
        raise NotFound("--init was asked for, but no init program is installed: install the package tini")
    parent = container.host.cgroup_parent or settings.cgroup_parent
    if ".." in parent.split("/"):
        raise InvalidArgument(f"invalid cgroup parent: {parent}")
    return build.Surroundings(
        directory=files.directory(engine, container.id),
        root=f"{settings.exec_root}/rootfs",
        cgroup_path=f"/{parent.strip('/')}/{container.id}",
        default_ulimits=settings.default_ulimits,
        joined=joined,
        shm_source=shm_source,
        init_path=init,
        linked=links.environment(engine, container),
    )


def _log_target(engine: Engine, container: Container) -> LogTarget:
    log, config = container.host.log, container.config
    fields = {
        "ID": container.id[:12],
        "FullID": container.id,
        "Name": container.name,
        "ImageName": container.image_ref,
        "ImageID": container.image_id.removeprefix("sha256:")[:12],
        "ImageFullID": container.image_id,
        "DaemonName": "scow",
        "Command": " ".join((container.path, *container.args)),
    }
    variables = dict(word.partition("=")[::2] for word in config.env)
    chosen = attributes(log.options, labels=config.labels, env=variables, fields=fields) if log.options else {}
    path = files.log_path(engine, container.id) if log.driver == "json-file" else ""
    return LogTarget(log.driver, path, log.options, chosen)


async def _record_failure(engine: Engine, entry: Entry, error: ScowError) -> None:
    """State, exit code and error as Docker leaves them after a start that failed."""
    code = exit_code(error.message)
    status = entry.container.status
    entry.task = None
    engine.containers.set_status(entry, transitions.failed(replace(status, pid=0), code=code, error=error.message))
    await engine.containers.save(entry)
    happenings.publish(engine, entry.container, "die", exitCode=str(code), execDuration="0")
    ending.settle(entry.exits, code)
    if entry.container.host.auto_remove:
        from scow.engine.containers import remove

        await remove.take_away(engine, entry, volumes=True)


def exit_code(message: str) -> int:
    """What the docker CLI makes of the same sentence: 127 not found, 126 not executable, else 128."""
    lower = message.lower()
    if "executable file not found" in lower or "no such file or directory" in lower:
        return 127
    if "permission denied" in lower or "is a directory" in lower:
        return 126
    return 128

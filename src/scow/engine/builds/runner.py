"""RUN: the process of a build's step, in a container that has no record and that nobody else sees.

It is started as every container is: by the supervisor, from the same spec, with the same limits and network. Its directory, its
writable layer and its task have its id; what a killed daemon leaves of them belongs to no container, so the next one ends
and removes it.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import replace

from scow.background import complete, spawn
from scow.build.request import Execution
from scow.engine import runtimes
from scow.engine.containers import create, diff, files, start, validate
from scow.engine.context import Engine
from scow.engine.networks import name_files, wishes
from scow.engine.ports import Attachment, LogTarget, Sandbox, Task, TaskSpec
from scow.engine.spec import build
from scow.errors import InvalidArgument, NotFound
from scow.images.archive.bound import Bound
from scow.model.container import Container, HostConfig, LogConfig, Status

Output = Callable[[bool, bytes], None]
_HEADER = 8
_STDERR = 2


class ContainerRunner:
    """build.request.Runner on the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self, execution: Execution, output: Output) -> int:
        engine = self._engine
        container = self._container(execution)
        async with contextlib.AsyncExitStack() as undo:
            os.mkdir(files.directory(engine, container.id), 0o710)
            await engine.snapshots.prepare(container.id, container.layers)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            try:
                task = await self._start(container, theirs, undo)
            finally:
                theirs.close()
            return await self._attend(container, task, ours, output)

    def newest(self, execution: Execution, before: int) -> int:
        return self._engine.snapshots.newest(execution.id, execution.chain, before)

    def write_changes(self, execution: Execution, emit: Callable[[bytes], object], bound: Bound) -> None:
        ours = (*diff.MOUNT_POINTS, *(point.target for point in execution.mounts))
        self._engine.snapshots.write_changes(execution.id, execution.chain, ours, emit, bound)

    async def discard(self, execution: Execution) -> None:
        async def work() -> None:
            await self._engine.snapshots.remove(execution.id)
            await asyncio.to_thread(files.remove, self._engine, execution.id)

        await complete(work(), f"discard-{execution.id[:12]}")

    def _container(self, execution: Execution) -> Container:
        engine, limits = self._engine, execution.limits
        host = create.defaults(
            engine,
            HostConfig(
                log=LogConfig("none"),
                network_mode=limits.network or "default",
                resources=limits.resources,
                shm_size=limits.shm_size,
                ulimits=limits.ulimits,
                cgroup_parent=limits.cgroup_parent,
                security_opt=limits.security_opt,
                extra_hosts=limits.extra_hosts,
                init=False,
            ),
        )
        validate.check(execution.config, host)
        host = create.resolve_modes(engine, host)
        command = execution.config.cmd or ()
        if not command:
            raise InvalidArgument("no command specified")
        return Container(
            id=execution.id,
            name=f"build-{execution.id[:12]}",
            created_at=engine.clock(),
            image_id="",
            image_ref="",
            config=execution.config,
            host=replace(host, auto_remove=True),
            path=command[0],
            args=command[1:],
            mount_points=execution.mounts,
            layers=execution.chain,
            status=Status(networks=wishes.at_create(engine, host.network_mode, "", {})),
        )

    async def _start(self, container: Container, output: socket.socket, undo: contextlib.AsyncExitStack) -> Task:
        engine = self._engine
        joined, shm_source = start.joined_namespaces(engine, container)
        sandbox: Sandbox | None = None
        wanted = wishes.plugged(container)
        if wanted:
            sandbox = await engine.networking.connect(wishes.tenant(engine, container), wanted)
            undo.push_async_callback(engine.networking.release, container.id)
        try:
            name_files.write(
                engine, container, sandbox.endpoints if sandbox else (), sandbox.resolver if sandbox else ""
            )
            spec = TaskSpec(
                id=container.id,
                spec=build.build(container, start.surroundings(engine, container, joined, shm_source)),
                rootfs=engine.snapshots.mounts(container.id, container.layers),
                log=LogTarget("none"),
                exit_path=f"{files.directory(engine, container.id)}/exit.json",
                durable_exit=False,
                runtime=runtimes.command(engine.settings, container.host.runtime),
                netns=sandbox.netns if sandbox else None,
                attachments=(Attachment(output),),
            )
            task = await engine.supervisor.spawn(spec)
            undo.push_async_callback(engine.supervisor.forget, container.id)
            return task
        finally:
            if sandbox is not None:
                os.close(sandbox.netns)

    async def _attend(self, container: Container, task: Task, ours: socket.socket, output: Output) -> int:
        """Pass the output on until the end. Whoever is cancelled leaves no process behind."""
        reading = spawn(_read(ours, output), f"output-{container.id[:12]}", awaited=True)
        try:
            status = await task.wait()
            await reading
            return status.code
        except BaseException:
            await complete(_kill(task), f"kill-{container.id[:12]}")
            raise
        finally:
            reading.cancel()


async def _kill(task: Task) -> None:
    with contextlib.suppress(NotFound):
        await task.signal(9)
    await task.wait()


async def _read(connection: socket.socket, output: Output) -> None:
    """Frames (see Docker's attach) from the monitor, to the end."""
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    waiting = bytearray()
    while chunk := await loop.sock_recv(connection, 1 << 16):
        waiting += chunk
        while len(waiting) >= _HEADER:
            end = _HEADER + int.from_bytes(waiting[4:_HEADER], "big")
            if len(waiting) < end:
                break
            output(waiting[0] == _STDERR, bytes(waiting[_HEADER:end]))
            del waiting[:end]

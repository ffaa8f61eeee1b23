"""RUN: a process on top of the layers, and what it has changed as one more."""

import codecs
import os
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from scow.build import history
from scow.build.cache import Step
from scow.build.frontend import heredocs
from scow.build.frontend.commands import Run
from scow.build.ops.mounts import Attached, Mounts, Others
from scow.build.output import red
from scow.build.request import Execution, StepFailed
from scow.build.scope import Scope
from scow.build.state import State
from scow.build.work import Work
from scow.errors import Forbidden, Unsupported
from scow.images.archive.bound import Bound
from scow.model.mounts import MountPoint

_SECOND = 1_000_000_000
_COARSE = 5  # CLOCK_REALTIME_COARSE, which file systems stamp with: no file made later is older
_PROGRAM = "/dev/pipes/EOF"  # in /dev, which is no part of the image
HOSTNAME = "buildhost"
"""The same for every build: a container's id in a file would make each image another one."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A RUN with everything that decides what comes of it."""

    key: str
    created_by: str
    argv: tuple[str, ...]
    environment: tuple[str, ...]
    command: Run
    mounts: Mounts
    program: bool = False


async def prepare(work: Work, command: Run, state: State, scope: Scope, others: Others) -> Prepared:
    """Its key and its line in the history; nothing runs yet."""
    if command.security not in ("", "sandbox"):
        raise Unsupported(f"RUN --security={command.security} is not supported by scow")
    if command.network == "host" and work.request.limits.network != "host":
        # a Dockerfile, or a trigger of a base image, is not to reach what listens on this machine unless the client wants it
        raise Forbidden("network.host is not allowed: RUN --network=host needs a build with --network=host")
    program = False
    if command.heredocs:
        script, program = heredocs.script(command)
        argv = (script,) if program else (*history.shell_of(state.config), script)
    elif command.shell:
        argv = (*history.shell_of(state.config), *command.command)
    else:
        argv = command.command
    shown = scope.shown(state.config)
    created_by = " ".join((f"|{len(shown)}", *shown, *argv) if shown else argv)
    limits = work.request.limits
    mounts = Mounts(work, command, state, others)
    key = work.key(
        "run",
        state.top,
        argv,
        state.config.env,
        shown,
        state.config.user,
        state.config.working_dir,
        command.network,
        limits.network,
        limits.extra_hosts,
        await mounts.key(),
    )
    environment = (*state.config.env, *shown, *scope.hidden(state.config))
    return Prepared(key, created_by, argv, environment, command, mounts, program)


async def run(work: Work, prepared: Prepared, state: State, say: Callable[[str], None]) -> Step:
    """Run it, and keep the layer. StepFailed with Docker's sentence when its code is not 0."""
    async with AsyncExitStack() as using:
        attached = await prepared.mounts.attach(using)
        return await _execute(work, prepared, state, attached, say)


async def _execute(
    work: Work, prepared: Prepared, state: State, attached: Attached, say: Callable[[str], None]
) -> Step:
    limits = work.request.limits
    argv, points = prepared.argv, attached.points
    if prepared.program:
        points = (
            *points,
            MountPoint("bind", _PROGRAM, await work.run(_script, work, prepared.argv[0]), read_only=True),
        )
        argv = (_PROGRAM,)
    if prepared.command.network not in ("", "default"):
        limits = replace(limits, network=prepared.command.network)
    config = replace(
        state.config,
        hostname=HOSTNAME,
        env=(*prepared.environment, *attached.environment),
        entrypoint=None,
        cmd=argv,
        exposed_ports=(),
        volumes=(),
        healthcheck=None,
    )
    execution = Execution(secrets.token_hex(32), state.chain, config, limits, points)
    short = execution.id[:12]
    say(f" ---> Running in {short}\n")
    gone = f" ---> Removed intermediate container {short}\n"
    began = time.clock_gettime_ns(_COARSE)
    try:
        code = await work.runner.run(execution, _Output(say))
        if code:
            if work.request.remove_failed:
                say(gone)
            words = " ".join(prepared.argv)
            raise StepFailed(f"The command '{words}' returned a non-zero code: {code}", code)
        # what the process has unpacked has times of its own; what it has made gets the newest of them, or of what it made it of
        state = state.after(await work.run(work.runner.newest, execution, began))
        bound = Bound(work.stamp(state) * _SECOND, began, work.request.stamp is not None)
        step = await work.layer(
            prepared.key,
            state,
            prepared.created_by,
            lambda emit: work.runner.write_changes(execution, emit, bound),
        )
    finally:
        await work.runner.discard(execution)
    if work.request.remove:
        say(gone)
    return step


def _script(work: Work, text: str) -> str:
    """A program that stands in the Dockerfile, as a file."""
    path = f"{work.directory}/program-{secrets.token_hex(8)}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    with os.fdopen(fd, "wb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))
    return path


_LOUDEST = 16 << 20  # bytes of a step's output: a client that does not read it costs no more memory


class _Output:
    """Bytes of the two streams to text; errors are red, as the classic builder shows them. A character that is cut in two
    waits for its rest.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._left = _LOUDEST
        self._decoders = {error: codecs.getincrementaldecoder("utf-8")("replace") for error in (False, True)}

    def __call__(self, error: bool, data: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(data)
        text = self._decoders[error].decode(data)
        if text:
            self._say(red(text) if error else text)
        if self._left <= 0:
            self._say("\n[output clipped]\n")

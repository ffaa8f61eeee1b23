"""RUN --mount: what a step sees beside its root file system, and what of it counts in the step's key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scow.build.frontend.commands import Run
from scow.build.scope import Scope
from scow.build.state import State
from scow.build.work import Work
from scow.errors import Unsupported
from scow.model.mounts import MountPoint

Others = Callable[[str], Awaitable[State]]


@dataclass(frozen=True, slots=True)
class Attached:
    """`points` are mounted; `environment` are NAME=value that the step gets; `key` stands for them in the step's key."""

    points: tuple[MountPoint, ...] = ()
    environment: tuple[str, ...] = ()
    key: tuple[object, ...] = ()


async def attach(work: Work, command: Run, scope: Scope, state: State, others: Others) -> Attached:
    """The mounts of a RUN. `others` as for a stage."""
    for mount in command.mounts:
        raise Unsupported(f"RUN --mount=type={mount.kind} is not supported by scow yet")
    return Attached()

"""Execs as inspect shows them."""

import msgspec

from scow.api.values import UNSET, UnsetType


class ExecProcess(msgspec.Struct):
    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str | UnsetType = UNSET


class ExecInspect(msgspec.Struct):
    """GET /exec/{id}/json."""

    ID: str
    Running: bool
    ExitCode: int | None
    ProcessConfig: ExecProcess
    OpenStdin: bool
    OpenStderr: bool
    OpenStdout: bool
    CanRemove: bool
    ContainerID: str
    DetachKeys: str
    Pid: int

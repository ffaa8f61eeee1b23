"""`scow update`: other limits, another restart policy."""

from __future__ import annotations

from scow.cli import container_options
from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.output import line, warn
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_NAMES = (
    "blkio-weight cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems memory "
    "memory-reservation memory-swap pids-limit"
).split()
_OPTIONS: tuple[Option, ...] = (
    *(option for option in container_options.OPTIONS if option[0] in _NAMES),
    ("kernel-memory", "", "bytes", "0", ""),
    ("restart", "", "string", "", "Restart policy when a container exits"),
)
_FIELDS = {
    "blkio-weight": "BlkioWeight", "cpu-period": "CpuPeriod", "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod", "cpu-rt-runtime": "CpuRealtimeRuntime", "cpu-shares": "CpuShares",
    "cpus": "NanoCpus", "kernel-memory": "KernelMemory", "memory": "Memory",
    "memory-reservation": "MemoryReservation", "memory-swap": "MemorySwap", "pids-limit": "PidsLimit",
}  # fmt: skip


def _update(session: Session, flags: Flags, args: list[str]) -> int:
    try:
        body = _body(flags)
    except ValueError as error:
        raise Exit(1, str(error)) from None
    if not body:
        raise Exit(1, "you must provide one or more flags when using this command")
    from scow.client.api import ApiError

    warnings: list[str] = []
    wrong: list[str] = []
    for name in args:
        try:
            answer = session.client.post(f"/containers/{quote(name)}/update", body=body) or {}
        except ApiError as error:
            wrong.append(str(error))
            continue
        line(name)
        warnings += answer.get("Warnings") or ()
    for text in (*warnings, *wrong):
        warn(text)
    return 1 if wrong else 0


def _body(flags: Flags) -> dict[str, Any]:
    body: dict[str, Any] = {field: flags.number(name) for name, field in _FIELDS.items() if flags.changed(name)}
    for name, field in (("cpuset-cpus", "CpusetCpus"), ("cpuset-mems", "CpusetMems")):
        if flags.changed(name):
            body[field] = flags.text(name)
    if flags.changed("restart"):
        from scow.cli.container_request import restart_policy

        body["RestartPolicy"] = restart_policy(flags.text("restart"))
    return body


COMMAND = Command(
    _update,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    "container update, update",
    _OPTIONS,
    1,
    UNLIMITED,
)

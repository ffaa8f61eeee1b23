"""A task's directory: the OCI bundle and what surrounds it, the border between daemon and process side.

config.json   the runtime-spec document                                     written by the daemon
seccomp.bpf   the compiled filter, if there is one (an annotation names it) written by the daemon
oci           the bundle of an external runtime, see runtime/external       made by the monitor
task.json     see `Bundle`                                                  written by the daemon, last
lock          flock'ed by the monitor as long as it lives                   made by the daemon
started       {"pid", "started_at"}: the container's init has been executed written by the monitor
control       the monitor's socket                                          made by the monitor
monitor.log   what went wrong, if anything                                  written by the monitor
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scow.errors import DataLoss
from scow.monitor import json_text
from scow.oci.runtime import Mount, Spec

CONFIG = "config.json"
TASK = "task.json"
LOCK = "lock"
STARTED = "started"
TROUBLE = "monitor.log"
_MAX_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """What task.json says; the fields are those of the engine's TaskSpec. cgroup is the spec's cgroupsPath.

    durable_exit is False for a container that is removed when it has ended: its end is told before all is tidied up.
    runtime: an external runtime's path and arguments, nothing for scow's own.
    """

    id: str
    rootfs: Sequence[Mount]
    log_driver: str
    log_path: str
    log_options: Mapping[str, str]
    log_attributes: Mapping[str, str]
    exit_path: str
    cgroup: str
    terminal: bool
    open_stdin: bool
    stdin_once: bool
    console_size: tuple[int, int]
    durable_exit: bool = True
    runtime: Sequence[str] = ()


def fields(bundle: Bundle) -> dict[str, Any]:
    """task.json's object."""
    return {name: getattr(bundle, name) for name in Bundle.__slots__}


def read(directory: int) -> Bundle:
    """The bundle in a directory (an fd). DataLoss when it is missing or incomplete."""
    found = _load(directory, TASK)
    try:
        height, width = found.pop("console_size")
        bundle = Bundle(**found, console_size=(int(height), int(width)))
    except (TypeError, ValueError, KeyError) as error:
        raise DataLoss(f"{TASK} is not a task: {error}") from error
    texts = (bundle.id, bundle.log_driver, bundle.log_path, bundle.exit_path, bundle.cgroup)
    if (
        not all(isinstance(text, str) for text in texts)
        or not isinstance(bundle.rootfs, list)
        or not _is_command(bundle.runtime)
    ):
        raise DataLoss(f"{TASK} is not a task")
    return bundle


def _is_command(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


def read_spec(directory: int) -> Spec:
    """The runtime-spec document. DataLoss when it is missing or no JSON object."""
    return _load(directory, CONFIG)


def read_started(directory: int) -> tuple[int, int] | None:
    """(pid, started_at) once the container's init has been executed."""
    try:
        found = _load(directory, STARTED)
        return int(found["pid"]), int(found["started_at"])
    except (DataLoss, KeyError, TypeError, ValueError):
        return None


def write(directory: int, name: str, data: bytes) -> None:
    """A new file in the directory. OSError, leaving nothing, when it cannot be written."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        os.unlink(name, dir_fd=directory)
        raise
    finally:
        os.close(fd)


def _load(directory: int, name: str) -> dict[str, Any]:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
        try:
            parts = []
            size = 0
            while block := os.read(fd, 1 << 20):
                parts.append(block)
                size += len(block)
                if size > _MAX_FILE:
                    raise DataLoss(f"{name} is too large")
        finally:
            os.close(fd)
        found = json_text.loads(b"".join(parts).decode("utf-8").strip())
    except OSError as error:
        raise DataLoss(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataLoss(f"{name} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise DataLoss(f"{name} is not an object")
    return found

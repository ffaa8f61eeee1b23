"""--security-opt, --privileged, masked and read-only paths, seccomp."""

from dataclasses import dataclass
from typing import Any

from scow.engine.spec import seccomp
from scow.errors import InvalidArgument
from scow.model.container import HostConfig

MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """What the words of --security-opt say. `seccomp`: None the default profile, "unconfined", or a profile's JSON."""

    no_new_privileges: bool = False
    seccomp: str | None = None
    unmask_all: bool = False


def parse(options: tuple[str, ...]) -> SecurityOptions:
    """Every word is understood or refused by name."""
    no_new_privileges, profile, unmask = False, None, False
    for word in options:
        key, separator, value = word.partition("=") if "=" in word else word.partition(":")
        if key == "no-new-privileges":
            if separator and value not in ("true", "false"):
                raise InvalidArgument(f"invalid --security-opt: {word!r}: no-new-privileges takes true or false")
            no_new_privileges = value != "false"
        elif key == "seccomp" and separator:
            profile = None if value == "builtin" else value
            if value not in ("unconfined", "builtin"):
                seccomp.custom(value, frozenset())
        elif key == "systempaths" and value == "unconfined":
            unmask = True
        elif key in ("apparmor", "label") and value in ("unconfined", "disable"):
            continue  # there is none to switch off: the wish is met
        else:
            raise InvalidArgument(f'invalid --security-opt 2: "{word}"')
    return SecurityOptions(no_new_privileges, profile, unmask)


def seccomp_profile(host: HostConfig, options: SecurityOptions, capabilities: list[str]) -> dict[str, Any] | None:
    """linux.seccomp, or None when unconfined."""
    if host.privileged or options.seccomp == "unconfined":
        return None
    if options.seccomp is None:
        return seccomp.default(frozenset(capabilities))
    return seccomp.custom(options.seccomp, frozenset(capabilities))


def masked_paths(host: HostConfig) -> tuple[str, ...]:
    """The paths that the container must not read."""
    if host.privileged:
        return ()
    return MASKED if host.masked_paths is None else host.masked_paths


def read_only_paths(host: HostConfig) -> tuple[str, ...]:
    """The paths that the container must not write."""
    if host.privileged:
        return ()
    return READ_ONLY if host.read_only_paths is None else host.read_only_paths

"""One start (of a container's init or of an exec) and what its steps learn on the way."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scow.errors import InvalidArgument, Unsupported
from scow.linux import libc
from scow.linux.cgroup import Cgroup
from scow.oci.runtime import Mount, Process, Spec
from scow.runtime.failure import INIT, Failed

EXPLICIT = "org.scow.rlimits.explicit"
"""Annotation: which limits the user asked for by name (RLIMIT_NOFILE, …, oom_score_adj). The others are the daemon's
defaults and give way when the machine does not allow them. A list, or text separated by commas."""


@dataclass(slots=True)
class Job:
    """`doing` says what is being tried: it becomes the error's text when the kernel refuses.

    copies: the sources of the spec's bind mounts (-1 for other mounts) when they were opened before the clone.
    """

    spec: Spec
    process: Process
    cgroup: Cgroup
    stdio: tuple[int, int, int] | None
    console_size: tuple[int, int]
    channel: int
    program: bytes
    seccomp_flags: int
    root_path: str = ""
    rootfs: Sequence[Mount] = ()
    netns: int | None = None
    copies: tuple[int, ...] | None = None
    born_in_cgroup: bool = False
    stage: str = INIT
    doing: str = "starting"
    root: int = -1
    proc: int = -1
    dev: int = -1
    pts: int = -1
    terminal: int = -1
    extra: tuple[int, ...] = ()
    two_steps: bool = False
    chdir_done: bool = False
    may_go: bool = False

    def trying(self, what: str, stage: str = INIT) -> None:
        """Name the next step."""
        self.doing = what
        self.stage = stage

    def await_go(self) -> None:
        """Wait until the monitor has completed the cgroup and written the id maps."""
        if not self.may_go:
            self.trying("waiting for the monitor")
            if os.read(self.channel, 1) != b"G":
                raise Failed(INIT, 0, "the monitor went away")
            self.may_go = True

    @property
    def linux(self) -> Mapping[str, Any]:
        return self.spec.get("linux") or {}

    def explicit(self) -> frozenset[str]:
        """Names of limits that must not be skipped."""
        return explicit_limits(self.spec)


def explicit_limits(spec: Spec) -> frozenset[str]:
    """Names of limits that the user asked for: rlimits without their prefix, oom_score_adj."""
    value = (spec.get("annotations") or {}).get(EXPLICIT) or ()
    names: Iterable[str] = value.split(",") if isinstance(value, str) else value
    return frozenset(name.strip().lower().removeprefix("rlimit_") for name in names)


_FLAGS = {
    "mount": libc.CLONE_NEWNS,
    "pid": libc.CLONE_NEWPID,
    "network": libc.CLONE_NEWNET,
    "uts": libc.CLONE_NEWUTS,
    "ipc": libc.CLONE_NEWIPC,
    "user": libc.CLONE_NEWUSER,
    "cgroup": libc.CLONE_NEWCGROUP,
}


@dataclass(frozen=True, slots=True)
class Namespaces:
    """What a spec asks for: `new` flags for clone, `joined` (flag, path); a kind that is absent is the host's."""

    new: int
    joined: tuple[tuple[int, str], ...]

    def has(self, flag: int) -> bool:
        return bool(self.new & flag) or any(flag == joined for joined, _ in self.joined)


_UNSUPPORTED = {
    "": ("hooks", "solaris", "windows", "vm", "zos"),
    "process": ("apparmorProfile", "selinuxLabel", "scheduler", "ioPriority", "execCPUAffinity"),
    "linux": ("intelRdt", "personality", "timeOffsets", "mountLabel", "netDevices", "memoryPolicy"),
}


def refuse_unsupported(spec: Spec, process: Process) -> None:
    """Unsupported, by name, for a part of a spec that would otherwise be ignored."""
    for section, keys in _UNSUPPORTED.items():
        part = process if section == "process" else spec.get(section) or {} if section else spec
        for key in keys:
            if part.get(key):
                raise Unsupported(f"the runtime does not support {f'{section}.{key}' if section else key} of a spec")
    for mount in spec.get("mounts") or ():
        if mount.get("uidMappings") or mount.get("gidMappings"):
            raise Unsupported(f"the runtime does not support id-mapped mounts ({mount.get('destination')})")


def namespaces(spec: Spec) -> Namespaces:
    """The namespaces of linux.namespaces. InvalidArgument for an unknown kind or one named twice."""
    new, joined, seen = 0, [], 0
    for item in (spec.get("linux") or {}).get("namespaces") or ():
        flag = _FLAGS.get(item.get("type"))
        if flag is None:
            raise InvalidArgument(f"unsupported namespace type {item.get('type')!r}")
        if seen & flag:
            raise InvalidArgument(f"namespace {item['type']} given twice")
        seen |= flag
        if item.get("path"):
            joined.append((flag, str(item["path"])))
        else:
            new |= flag
    if not new & libc.CLONE_NEWNS:
        raise InvalidArgument("a container needs a mount namespace of its own")
    return Namespaces(new, tuple(joined))


_SYSCTLS_OF_IPC = frozenset(
    f"kernel.{name}" for name in "msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced".split()
)


def refuse_host_sysctls(spec: Spec, wanted: Namespaces, netns: int | None) -> None:
    """InvalidArgument for a kernel setting that would be the host's: of no namespace, or of one that is shared with it."""
    for key in (spec.get("linux") or {}).get("sysctl") or {}:
        name = key.replace("/", ".")
        if name.startswith("net."):
            flag, kind = libc.CLONE_NEWNET, "net"
        elif name in _SYSCTLS_OF_IPC or name.startswith("fs.mqueue."):
            flag, kind = libc.CLONE_NEWIPC, "ipc"
        elif name == "kernel.domainname":
            flag, kind = libc.CLONE_NEWUTS, "uts"
        else:
            raise InvalidArgument(f'sysctl "{key}" is not in a separate kernel namespace')
        if wanted.new & flag or (kind == "net" and netns is not None):
            continue
        path = dict(wanted.joined).get(flag)
        if path is None or os.stat(path).st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino:
            raise InvalidArgument(f'sysctl "{key}" not allowed in host {kind} namespace')

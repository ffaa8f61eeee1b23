"""A busybox root filesystem, a default spec and a scratch area for tests of the runtime. Needs root."""

import copy
import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scow.linux import cgroup
from scow.linux.cgroup import Cgroup
from scow.runtime import seccomp
from scow.runtime.contract import Launched
from scow.runtime.execute import execute
from scow.runtime.launch import launch
from tests.harness import scratch

BUSYBOX = "/bin/busybox"
DEFAULT_CAPABILITIES = [
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split()
]
_counter = itertools.count()
_PARENT = f"scowtest{os.getpid()}"  # of this run alone: it is removed with all that is below
APPLETS = (
    "sh true false cat echo ls id stat mount umount sleep readlink tty pwd env ps grep head wc touch mkdir mknod dd hostname "
    "kill test cut tr sort find date ln rm chmod chown"
)


def build_rootfs(path: str) -> str:
    """A small root tree from the host's static busybox."""
    for name in "bin etc tmp proc sys dev root home usr/bin var".split():
        os.makedirs(f"{path}/{name}")
    os.chmod(f"{path}/tmp", 0o1777)
    os.chmod(f"{path}/root", 0o700)
    shutil.copy(BUSYBOX, f"{path}/bin/busybox")
    for name in APPLETS.split():
        os.link(f"{path}/bin/busybox", f"{path}/bin/{name}")
    with open(f"{path}/etc/passwd", "w") as file:
        file.write(
            "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"
        )
    with open(f"{path}/etc/group", "w") as file:
        file.write("root:x:0:\ndaemon:x:1:\nstaff:x:50:app,daemon\napp:x:1000:\nwheel:x:10:app\n")
    return path


def default_spec(args: list[str], **changes: Any) -> dict[str, Any]:
    """A spec as the engine writes it for a plain container. `changes` with a dict are merged one level deep."""
    mounts = [
        ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid", "noexec", "nodev"]),
        ("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        ("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]),
    ]
    keys = ("destination", "type", "source", "options")
    spec: dict[str, Any] = {
        "ociVersion": "1.2.0",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {key: list(DEFAULT_CAPABILITIES) for key in ("bounding", "effective", "permitted")},
            "oomScoreAdj": 0,
        },
        "root": {"path": ""},
        "hostname": "scowtest",
        "mounts": [dict(zip(keys, mount, strict=True)) for mount in mounts],
        "linux": {
            "resources": {
                "devices": [
                    {"allow": False, "access": "rwm"},
                    {"allow": True, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
                ]
            },
            "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"},
            "namespaces": [{"type": kind} for kind in ("mount", "network", "uts", "pid", "ipc", "cgroup")],
            "maskedPaths": [
                *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
                *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"),
                "/sys/devices/virtual/powercap",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(spec.get(key), dict):
            spec[key] = {**spec[key], **value}
        else:
            spec[key] = value
    return copy.deepcopy(spec)


@dataclass
class Result:
    """What a finished container left: exit code (128+n for signals) and output."""

    code: int
    out: str
    err: str


@dataclass
class Running:
    """A started container."""

    launched: Launched
    cgroup: Cgroup
    spec: dict[str, Any]
    fds: tuple[int, int, int] | None
    streams: list[int] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.launched.pid

    def execute(self, args: list[str], **process: Any) -> Result:
        """Run one more process to its end."""
        base = copy.deepcopy(self.spec["process"])
        base.update({"args": args, **process})
        with streams() as (inner, outer):
            started = execute(self.pid, self.spec, base, cgroup=self.cgroup, stdio=inner)
            for fd in inner:
                os.close(fd)
            return finish(started, outer)

    def kill(self) -> None:
        self.cgroup.kill()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass


@contextmanager
def streams() -> Iterator[tuple[tuple[int, int, int], list[int]]]:
    """Pipes for a process: its (stdin, stdout, stderr), and our [stdout, stderr]. stdin is /dev/null."""
    null = os.open("/dev/null", os.O_RDONLY)
    out, out_w = os.pipe()
    err, err_w = os.pipe()
    inner, outer = (null, out_w, err_w), [out, err]
    try:
        yield inner, outer
    finally:
        for fd in (*inner, *outer):
            try:
                os.close(fd)
            except OSError:
                pass


def finish(started: Launched, outer: list[int]) -> Result:
    """Wait for the process; its output must fit a pipe."""
    status = os.waitpid(started.pid, 0)[1]
    os.close(started.pidfd)
    texts = []
    for fd in outer:
        os.set_blocking(fd, False)
        try:
            texts.append(os.read(fd, 1 << 20).decode(errors="replace"))
        except BlockingIOError:
            texts.append("")
    code = os.waitstatus_to_exitcode(status)
    return Result(code if code >= 0 else 128 - code, *texts)


class Area:
    """A scratch directory with one busybox root as lower layer; makes containers and removes all of them."""

    def __init__(self) -> None:
        self.path = str(scratch.make("rt"))
        self.lower = build_rootfs(f"{self.path}/lower")
        seccomp.configure(f"{self.path}/seccomp")
        self.cgroups: list[Cgroup] = []

    def rootfs(self, extra_layers: tuple[str, ...] = ()) -> tuple[str, list[dict[str, Any]]]:
        """(root path, mounts) of a fresh overlay."""
        base = f"{self.path}/c{next(_counter)}"
        for name in ("root", "upper", "work"):
            os.makedirs(f"{base}/{name}")
        lower = ":".join((*extra_layers, self.lower))
        options = [f"lowerdir={lower}", f"upperdir={base}/upper", f"workdir={base}/work"]
        return f"{base}/root", [{"type": "overlay", "source": "overlay", "options": options}]

    def bind(self, tree: str) -> tuple[str, list[dict[str, Any]]]:
        """(root path, mounts) of a tree used as it is."""
        base = f"{self.path}/c{next(_counter)}"
        os.makedirs(f"{base}/root")
        return f"{base}/root", [{"type": "bind", "source": tree, "options": ["rbind"]}]

    def cgroup(self, resources: dict[str, Any], deferred: bool = False) -> Cgroup:
        made = cgroup.create(f"{_PARENT}/c{next(_counter)}", resources, deferred=deferred)
        self.cgroups.append(made)
        return made

    def start(
        self,
        spec: dict[str, Any],
        *,
        root: tuple[str, list[dict[str, Any]]] | None = None,
        stdio: tuple[int, int, int] | None = None,
        terminal: bool = False,
        netns: int | None = None,
        console_size: tuple[int, int] = (0, 0),
    ) -> Running:
        spec["root"]["path"], rootfs = root or self.rootfs()
        group = self.cgroup(spec["linux"].get("resources") or {}, deferred=bool(next(_counter) % 2))
        null = os.open("/dev/null", os.O_RDWR)
        given = None if terminal else stdio or (null, null, null)
        try:
            launched = launch(spec, rootfs, cgroup=group, netns=netns, stdio=given, console_size=console_size)
        finally:
            os.close(null)
        return Running(launched, group, spec, given)

    def run(self, spec: dict[str, Any], **how: Any) -> Result:
        """Run a container to its end."""
        with streams() as (inner, outer):
            running = self.start(spec, stdio=inner, **how)
            for fd in inner:
                os.close(fd)
            return finish(running.launched, outer)

    def sh(self, script: str, root: tuple[str, list[dict[str, Any]]] | None = None, **changes: Any) -> Result:
        """Run a shell script in a default container."""
        return self.run(default_spec(["sh", "-c", script], **changes), root=root)

    def close(self) -> None:
        for group in self.cgroups:
            group.remove()
        cgroup.open(_PARENT).remove()
        scratch.remove(Path(self.path))
        assert not os.path.exists(self.path), f"{self.path} cannot be removed"


if __name__ == "__main__":  # a quick look: python -m tests.integration.runtime.harness COMMAND…
    area = Area()
    try:
        print(area.run(default_spec(sys.argv[1:])))
    finally:
        area.close()

"""Control groups version 2: one directory, controllers enabled from the root down, devices by an eBPF filter."""

import os
import select
import time
from collections.abc import Mapping
from typing import Any

from scow.errors import InvalidArgument, Unsupported
from scow.linux import cgroup_files, device_rules, libc

_WANTED = ("cpu", "memory", "pids", "io", "cpuset", "hugetlb")


class CgroupV2:
    """A cgroup of the unified hierarchy."""

    version = 2

    def __init__(self, path: str) -> None:
        self.path = path
        self._left: Mapping[str, Any] | None = None
        self._place = f"{cgroup_files.ROOT}/{path}"

    # ------------------------------------------------------------ making and removing

    def begin(self, resources: Mapping[str, Any]) -> None:
        try:
            os.mkdir(self._place, 0o755)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(self._place, 0o755, exist_ok=True)
        self._left = resources

    def complete(self) -> None:
        resources, self._left = self._left, None
        if resources is None:
            return
        self._enable_controllers()
        self.update(resources)
        self._restrict_devices(resources.get("devices") or ())

    def _enable_controllers(self) -> None:
        """Controllers flow down one level at a time. One that cannot be enabled is missed only by a limit that needs it."""
        available = cgroup_files.read(cgroup_files.ROOT, "cgroup.controllers").split()
        wanted = [name for name in _WANTED if name in available]
        if set(wanted) <= set(cgroup_files.read(self._place, "cgroup.controllers").split()):
            return
        place = cgroup_files.ROOT
        for part in self.path.split("/"):
            enabled = cgroup_files.read(place, "cgroup.subtree_control").split()
            for name in wanted:
                if name not in enabled:
                    try:
                        cgroup_files.write(place, "cgroup.subtree_control", f"+{name}")
                    except (InvalidArgument, OSError):
                        continue
            place = f"{place}/{part}"

    def _set(self, name: str, value: str, what: str) -> None:
        try:
            cgroup_files.write(self._place, name, value, what)
        except FileNotFoundError:
            controller = name.partition(".")[0]
            raise Unsupported(
                f"cannot set {what} to {value!r}: the {controller} cgroup controller is not available"
            ) from None

    def update(self, resources: Mapping[str, Any]) -> None:
        """Apply limits (not devices) of a spec's linux.resources."""
        self._limit_memory(resources.get("memory") or {})
        self._limit_cpu(resources.get("cpu") or {})
        limit = (resources.get("pids") or {}).get("limit")
        if limit:
            self._set("pids.max", "max" if limit < 0 else str(limit), "pids limit")
        self._limit_io(resources.get("blockIO") or {})
        for page in resources.get("hugepageLimits") or ():
            self._set(f"hugetlb.{page['pageSize']}.max", str(page["limit"]), "hugepage limit")
        for name, value in (resources.get("unified") or {}).items():
            if "/" in name or name.startswith("cgroup."):
                raise InvalidArgument(f"invalid unified cgroup key {name!r}")
            self._set(name, str(value), name)

    def _limit_memory(self, memory: Mapping[str, Any]) -> None:
        limit, swap = memory.get("limit") or 0, memory.get("swap") or 0
        if swap:
            self._set_swap(limit, swap)
        if limit:
            self._set("memory.max", "max" if limit < 0 else str(limit), "memory limit")
        if memory.get("reservation"):
            reservation = memory["reservation"]
            self._set("memory.low", "max" if reservation < 0 else str(reservation), "memory reservation")

    def _set_swap(self, limit: int, swap: int) -> None:
        """The spec's swap is memory plus swap; version 2 limits swap alone."""
        if swap > 0 and (limit <= 0 or swap < limit):
            raise InvalidArgument(f"cannot set memory+swap to {swap}: it must be at least the memory limit, {limit}")
        value = "max" if swap < 0 else str(swap - limit)
        if not os.path.exists(f"{self._place}/memory.swap.max"):
            if swap > limit:
                raise Unsupported(f"cannot set memory+swap to {swap}: the kernel does not account swap")
            return
        self._set("memory.swap.max", value, "memory+swap")

    def _limit_cpu(self, cpu: Mapping[str, Any]) -> None:
        if cpu.get("shares"):
            self._set("cpu.weight", str(weight_of_shares(cpu["shares"])), "cpu shares")
        if cpu.get("quota") or cpu.get("period"):
            quota = cpu.get("quota") or -1
            text = "max" if quota < 0 else str(quota)
            self._set("cpu.max", f"{text} {cpu.get('period') or 100_000}", "cpu quota and period")
        for key in ("cpus", "mems"):
            if cpu.get(key):
                self._set(f"cpuset.{key}", str(cpu[key]), f"cpuset {key}")

    def _limit_io(self, blkio: Mapping[str, Any]) -> None:
        if blkio.get("weight"):
            self._set_io_weight(int(blkio["weight"]))
        for key, word in _THROTTLES.items():
            for device in blkio.get(key) or ():
                self._set("io.max", f"{device['major']}:{device['minor']} {word}={device['rate']}", key)

    def _set_io_weight(self, weight: int) -> None:
        """The spec's range, 10 to 1000, is that of the BFQ scheduler; the cost model's is 1 to 10000."""
        for name, value in (("io.bfq.weight", weight), ("io.weight", 1 + (weight - 10) * 9999 // 990)):
            if os.path.exists(f"{self._place}/{name}"):
                cgroup_files.write(self._place, name, f"default {value}", "block IO weight")
                return
        raise Unsupported(f"cannot set the block IO weight to {weight}: the kernel has no such control")

    def _restrict_devices(self, devices: Any) -> None:
        rules = device_rules.from_spec(devices)
        if not rules:
            return
        directory = self.directory()
        try:
            program = libc.bpf_load_device_filter(device_rules.program(rules))
            try:
                libc.bpf_attach_device_filter(directory, program)
            finally:
                os.close(program)
        except OSError as error:
            text = libc.ERROR_TEXT.get(error.errno or 0, "error")
            raise Unsupported(
                f"cannot restrict devices of cgroup {self.path}: bpf: {text[:1].lower()}{text[1:]}"
            ) from error
        finally:
            os.close(directory)

    def remove(self) -> None:
        cgroup_files.remove_tree(self._place, self.kill)

    # ------------------------------------------------------------ processes

    def add(self, pid: int) -> None:
        fd = libc.open_at(libc.AT_FDCWD, f"{self._place}/cgroup.procs", os.O_WRONLY)
        try:
            os.write(fd, str(pid).encode())
        finally:
            os.close(fd)

    def pids(self) -> list[int]:
        return cgroup_files.read_pids(self._place)

    def freeze(self, frozen: bool) -> None:
        cgroup_files.write(self._place, "cgroup.freeze", "1" if frozen else "0")
        wanted = f"frozen {int(frozen)}"
        end = time.monotonic() + 2
        fd = libc.open_at(libc.AT_FDCWD, f"{self._place}/cgroup.events", os.O_RDONLY)
        try:
            poll = select.poll()
            poll.register(fd, select.POLLPRI)
            while wanted not in os.pread(fd, 4096, 0).decode():
                if time.monotonic() > end:
                    raise Unsupported(f"cannot bring cgroup {self.path} to {wanted}")
                poll.poll(50)
        finally:
            os.close(fd)

    def kill(self) -> None:
        try:
            cgroup_files.write(self._place, "cgroup.kill", "1")
        except (OSError, InvalidArgument):  # before Linux 5.14
            cgroup_files.kill_each(self.pids)

    def directory(self) -> int:
        return libc.open_at(libc.AT_FDCWD, self._place, libc.O_PATH | os.O_DIRECTORY)

    def join(self, born_inside: bool) -> None:
        if not born_inside:
            self._set("cgroup.procs", "0", "membership")

    def beside(self, pid: int) -> "CgroupV2":
        if not cgroup_files.read(self._place, "cgroup.subtree_control"):
            return self
        for line in cgroup_files.read(f"/proc/{pid}", "cgroup").split("\n"):
            path = line.removeprefix("0::/")
            if path != line and path.startswith(f"{self.path}/") and ".." not in path.split("/"):
                return CgroupV2(path)
        return self

    def views(self) -> list[tuple[str, str]]:
        return [("", self._place)]

    # ------------------------------------------------------------ figures

    def oom_kills(self) -> int:
        return cgroup_files.figures(cgroup_files.read(self._place, "memory.events")).get("oom_kill", 0)

    def oom_event_fd(self) -> int | None:
        try:
            return libc.open_at(libc.AT_FDCWD, f"{self._place}/memory.events", os.O_RDONLY)
        except OSError:
            return None

    def stats(self) -> dict[str, Any]:
        cpu = cgroup_files.figures(cgroup_files.read(self._place, "cpu.stat"))
        return {
            "memory": {
                "usage": self._number("memory.current"),
                "max_usage": self._number("memory.peak"),
                "limit": self._number("memory.max"),
                "failures": cgroup_files.figures(cgroup_files.read(self._place, "memory.events")).get("oom", 0),
                "stats": cgroup_files.figures(cgroup_files.read(self._place, "memory.stat")),
            },
            "cpu": {
                "total": cpu.get("usage_usec", 0) * 1000,
                "user": cpu.get("user_usec", 0) * 1000,
                "system": cpu.get("system_usec", 0) * 1000,
                "per_cpu": [],
            },
            "throttling": cpu,
            "pids": {"current": self._number("pids.current"), "limit": self._number("pids.max")},
            "blkio": {"io_stat": cgroup_files.read(self._place, "io.stat").split("\n")},
        }

    def _number(self, name: str) -> int:
        text = cgroup_files.read(self._place, name)
        return int(text) if text.isdigit() else 0


_THROTTLES = {
    "throttleReadBpsDevice": "rbps",
    "throttleWriteBpsDevice": "wbps",
    "throttleReadIOPSDevice": "riops",
    "throttleWriteIOPSDevice": "wiops",
}


def weight_of_shares(shares: int) -> int:
    """Version 1 cpu shares (2-262144) as a version 2 weight (1-10000)."""
    bounded = min(max(shares, 2), 262144)
    return 1 + (bounded - 2) * 9999 // 262142

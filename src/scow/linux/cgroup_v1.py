"""Control groups version 1: one directory per mounted hierarchy, named ones and the unified one included."""

import os
import time
from collections.abc import Mapping
from typing import Any

from scow.errors import InvalidArgument, Unsupported
from scow.linux import cgroup_files, device_rules, libc

_OUR_CONTROLLERS = frozenset(
    (
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "devices",
        "freezer",
        "pids",
        "blkio",
        "hugetlb",
        "net_cls",
        "net_prio",
        "perf_event",
    )
)


def hierarchies() -> dict[str, tuple[str, ...]]:
    """Mount point of each hierarchy and its controllers; a named one has ("name=systemd",), the unified one ("",)."""
    global _hierarchies
    if _hierarchies is None:
        found: dict[str, tuple[str, ...]] = {}
        for line in cgroup_files.read("/proc/self", "mountinfo").split("\n"):
            fields, _, after = line.partition(" - ")
            place = fields.split(" ")
            kind, _, options = after.partition(" ")
            if kind not in ("cgroup", "cgroup2") or not place[4].startswith(cgroup_files.ROOT + "/"):
                continue
            words = options.rpartition(" ")[2].split(",")
            names = tuple(
                word for word in words if word in _OUR_CONTROLLERS or word[:5] == "name=" or word in ("rdma", "misc")
            )
            found[place[4]] = names if kind == "cgroup" else ("",)
        _hierarchies = found
    return _hierarchies


_hierarchies: dict[str, tuple[str, ...]] | None = None


class CgroupV1:
    """A cgroup in every hierarchy of version 1."""

    version = 1

    def __init__(self, path: str) -> None:
        self.path = path
        self._left: Mapping[str, Any] | None = None
        self._places = {mount: f"{mount}/{path}" for mount in hierarchies()}
        self._by_controller = {name: self._places[mount] for mount, names in hierarchies().items() for name in names}

    def _place(self, controller: str, why: str) -> str:
        place = self._by_controller.get(controller)
        if place is None:
            raise Unsupported(f"cannot set {why}: the {controller} cgroup controller is not mounted")
        return place

    # ------------------------------------------------------------ making and removing

    def begin(self, resources: Mapping[str, Any]) -> None:
        unified = self._by_controller.get("")
        if unified:
            _make_directory(unified[: -len(self.path) - 1], unified)
        self._left = resources

    def complete(self) -> None:
        resources, self._left = self._left, None
        if resources is None:
            return
        for mount, place in self._places.items():
            _make_directory(mount, place)
        cpuset = self._by_controller.get("cpuset")
        if cpuset:
            wanted = resources.get("cpu") or {}
            for name in ("cpus", "mems"):
                inherited = _filled(os.path.dirname(cpuset), f"cpuset.{name}")
                cgroup_files.write(cpuset, f"cpuset.{name}", wanted.get(name) or inherited)
        self.update(resources)
        self._restrict_devices(resources.get("devices") or ())

    def update(self, resources: Mapping[str, Any]) -> None:
        """Apply limits (not devices) of a spec's linux.resources."""
        self._limit_memory(resources.get("memory") or {})
        self._limit_cpu(resources.get("cpu") or {})
        limit = (resources.get("pids") or {}).get("limit")
        if limit:
            cgroup_files.write(self._place("pids", "a pids limit"), "pids.max", "max" if limit < 0 else str(limit))
        self._limit_blkio(resources.get("blockIO") or {})
        for page in resources.get("hugepageLimits") or ():
            place = self._place("hugetlb", "a hugepage limit")
            cgroup_files.write(place, f"hugetlb.{page['pageSize']}.limit_in_bytes", str(page["limit"]))
        if resources.get("unified"):
            raise Unsupported("cannot set unified cgroup values: this machine has cgroup version 1")

    def _limit_memory(self, memory: Mapping[str, Any]) -> None:
        files = {
            "limit": "memory.limit_in_bytes",
            "swap": "memory.memsw.limit_in_bytes",
            "reservation": "memory.soft_limit_in_bytes",
            "swappiness": "memory.swappiness",
        }
        if self._grows(memory.get("swap") or 0):  # the kernel never lets memory be more than memory and swap
            files = {key: files[key] for key in ("swap", "limit", "reservation", "swappiness")}
        for key, name in files.items():
            value = memory.get(key)
            if value is None or (value == 0 and key != "swappiness"):
                continue
            place = self._place("memory", f"memory {key}")
            if key == "swap" and not os.path.exists(f"{place}/{name}"):
                if value > 0:
                    raise Unsupported(f"cannot set the swap limit to {value}: the kernel does not account swap")
                continue
            cgroup_files.write(place, name, str(value), f"memory {key}")
        if memory.get("disableOOMKiller"):
            cgroup_files.write(self._place("memory", "oom control"), "memory.oom_control", "1")

    def _grows(self, swap: int) -> bool:
        """Whether this is more memory and swap than there is now."""
        place = self._by_controller.get("memory")
        now = cgroup_files.read(place, "memory.memsw.limit_in_bytes") if place and swap else ""
        return now.isdigit() and (swap < 0 or swap > int(now))

    def _limit_cpu(self, cpu: Mapping[str, Any]) -> None:
        files = {
            "shares": "cpu.shares",
            "period": "cpu.cfs_period_us",
            "quota": "cpu.cfs_quota_us",
            "realtimePeriod": "cpu.rt_period_us",
            "realtimeRuntime": "cpu.rt_runtime_us",
        }
        for key, name in files.items():
            if cpu.get(key):
                cgroup_files.write(self._place("cpu", f"cpu {key}"), name, str(cpu[key]), f"cpu {key}")
        for key in ("cpus", "mems"):
            if cpu.get(key):
                cgroup_files.write(self._place("cpuset", f"cpuset {key}"), f"cpuset.{key}", cpu[key], f"cpuset {key}")

    def _limit_blkio(self, blkio: Mapping[str, Any]) -> None:
        weight = blkio.get("weight")
        if weight:
            place = self._place("blkio", "a block IO weight")
            name = "blkio.bfq.weight" if os.path.exists(f"{place}/blkio.bfq.weight") else "blkio.weight"
            if not os.path.exists(f"{place}/{name}"):
                raise Unsupported(f"cannot set the block IO weight to {weight}: the kernel has no such control")
            cgroup_files.write(place, name, str(weight), "block IO weight")
        for key, name in _THROTTLES.items():
            for device in blkio.get(key) or ():
                line = f"{device['major']}:{device['minor']} {device['rate']}"
                cgroup_files.write(self._place("blkio", key), name, line, key)

    def _restrict_devices(self, devices: Any) -> None:
        rules = device_rules.from_spec(devices)
        if not rules:
            return
        place = self._place("devices", "device rules")
        deny = libc.open_at(libc.AT_FDCWD, f"{place}/devices.deny", os.O_WRONLY)
        allow = libc.open_at(libc.AT_FDCWD, f"{place}/devices.allow", os.O_WRONLY)
        try:
            if rules[0].kind != "a":  # no rule for everything: nothing is allowed that is not named
                os.write(deny, b"a")
            for rule in rules:
                os.write(allow if rule.allow else deny, str(rule).encode())
        except OSError as error:
            raise InvalidArgument(f"cannot set device rules: {libc.ERROR_TEXT.get(error.errno or 0, '')}") from error
        finally:
            os.close(deny)
            os.close(allow)

    def remove(self) -> None:
        failed: OSError | None = None
        for place in self._places.values():
            try:
                cgroup_files.remove_tree(place, self.kill)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    # ------------------------------------------------------------ processes

    def add(self, pid: int) -> None:
        raw = str(pid).encode()
        for place in self._places.values():
            fd = libc.open_at(libc.AT_FDCWD, f"{place}/cgroup.procs", os.O_WRONLY)
            try:
                os.write(fd, raw)
            finally:
                os.close(fd)

    def _main(self) -> str:
        return (
            self._by_controller.get("pids") or self._by_controller.get("freezer") or next(iter(self._places.values()))
        )

    def pids(self) -> list[int]:
        return cgroup_files.read_pids(self._main())

    def freeze(self, frozen: bool) -> None:
        place = self._place("freezer", "the frozen state")
        wanted = "FROZEN" if frozen else "THAWED"
        for attempt in range(200):
            cgroup_files.write(place, "freezer.state", wanted)
            if cgroup_files.read(place, "freezer.state") == wanted:
                return
            if attempt % 20 == 19:  # a fork beside it can keep version 1 in FREEZING: let it through and try again
                cgroup_files.write(place, "freezer.state", "THAWED")
            time.sleep(0.001)
        raise Unsupported(f"cannot bring cgroup {self.path} to state {wanted}")

    def kill(self) -> None:
        cgroup_files.kill_each(self.pids)
        place = self._by_controller.get("freezer")
        if place and cgroup_files.read(place, "freezer.state") not in ("", "THAWED"):
            cgroup_files.write(place, "freezer.state", "THAWED")

    def directory(self) -> int:
        unified = self._by_controller.get("")
        return libc.open_at(libc.AT_FDCWD, unified, libc.O_PATH | os.O_DIRECTORY) if unified else -1

    def join(self, born_inside: bool) -> None:
        for mount, names in hierarchies().items():
            if names != ("",):
                _write_self(f"{self._places[mount]}/tasks")
            elif not born_inside:
                _write_self(f"{self._places[mount]}/cgroup.procs")

    def beside(self, pid: int) -> "CgroupV1":
        return self

    def views(self) -> list[tuple[str, str]]:
        skip = len(cgroup_files.ROOT) + 1
        return [(mount[skip:], self._places[mount]) for mount, names in hierarchies().items() if names != ("",)]

    # ------------------------------------------------------------ figures

    def oom_kills(self) -> int:
        place = self._by_controller.get("memory")
        return cgroup_files.figures(cgroup_files.read(place, "memory.oom_control")).get("oom_kill", 0) if place else 0

    def oom_event_fd(self) -> int | None:
        place = self._by_controller.get("memory")
        if place is None:
            return None
        watched = libc.open_at(libc.AT_FDCWD, f"{place}/memory.oom_control", os.O_RDONLY)
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            cgroup_files.write(place, "cgroup.event_control", f"{event} {watched}")
        except (OSError, InvalidArgument):
            os.close(event)
            return None
        finally:
            os.close(watched)
        return event

    def stats(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        memory = self._by_controller.get("memory")
        if memory:
            result["memory"] = {
                "usage": _number(memory, "memory.usage_in_bytes"),
                "max_usage": _number(memory, "memory.max_usage_in_bytes"),
                "limit": _number(memory, "memory.limit_in_bytes"),
                "failures": _number(memory, "memory.failcnt"),
                "stats": cgroup_files.figures(cgroup_files.read(memory, "memory.stat")),
            }
        account = self._by_controller.get("cpuacct")
        if account:
            ticks = cgroup_files.figures(cgroup_files.read(account, "cpuacct.stat"))
            result["cpu"] = {
                "total": _number(account, "cpuacct.usage"),
                "per_cpu": [int(word) for word in cgroup_files.read(account, "cpuacct.usage_percpu").split()],
                "user": ticks.get("user", 0) * 10_000_000,
                "system": ticks.get("system", 0) * 10_000_000,
            }
        cpu = self._by_controller.get("cpu")
        if cpu:
            result["throttling"] = cgroup_files.figures(cgroup_files.read(cpu, "cpu.stat"))
        pids = self._by_controller.get("pids")
        if pids:
            result["pids"] = {"current": _number(pids, "pids.current"), "limit": _number(pids, "pids.max")}
        blkio = self._by_controller.get("blkio")
        if blkio:
            result["blkio"] = {
                name: cgroup_files.read(blkio, f"blkio.throttle.{name}_recursive").split("\n")
                for name in ("io_service_bytes", "io_serviced")
            }
        return result


_THROTTLES = {
    "throttleReadBpsDevice": "blkio.throttle.read_bps_device",
    "throttleWriteBpsDevice": "blkio.throttle.write_bps_device",
    "throttleReadIOPSDevice": "blkio.throttle.read_iops_device",
    "throttleWriteIOPSDevice": "blkio.throttle.write_iops_device",
}


def _make_directory(mount: str, place: str) -> None:
    try:
        os.mkdir(place, 0o755)
        return
    except FileExistsError:
        return
    except FileNotFoundError:
        parent = os.path.dirname(place)
    _make_directory(mount, parent)
    _make_directory(mount, place)


def _filled(directory: str, name: str) -> str:
    """The value of a cpuset, which a new one gets from above first: an empty one takes no process.

    Whoever starts below it does so: another start may have made the directory a moment ago and not have come so far.
    """
    value = cgroup_files.read(directory, name)
    if not value and os.path.exists(f"{directory}/{name}"):
        value = _filled(os.path.dirname(directory), name)
        cgroup_files.write(directory, name, value)
    return value


def _write_self(path: str) -> None:
    fd = libc.open_at(libc.AT_FDCWD, path, os.O_WRONLY)
    try:
        os.write(fd, b"0")
    finally:
        os.close(fd)


def _number(place: str, name: str) -> int:
    text = cgroup_files.read(place, name)
    return int(text) if text.isdigit() else 0

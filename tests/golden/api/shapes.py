"""Shapes of API answers: keys and types without values, the calls they are recorded from, and their comparison.

tests/golden/api/shapes.json holds what a dockerd 26.1 (API 1.45) answered; tests/golden/api/record made it.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("shapes.json")
Api = Callable[[str, str, Any], tuple[int, Any]]

# Maps whose keys are data, by the last part of their place.
_DATA = frozenset(
    {
        "Labels", "Ports", "PortBindings", "ExposedPorts", "Volumes", "Networks", "Containers", "Options", "Tmpfs", "Sysctls",
        "Annotations", "Attributes", "Details", "Runtimes", "IndexConfigs", "Data", "DriverOpts", "Config.Labels",
    }
)  # fmt: skip

FULL = {
    "Image": "busybox",
    "Cmd": ["sleep", "600"],
    "Hostname": "h",
    "User": "0:0",
    "Env": ["A=1"],
    "WorkingDir": "/tmp",
    "Labels": {"a": "b"},
    "ExposedPorts": {"80/tcp": {}, "81/udp": {}},
    "StopSignal": "SIGINT",
    "StopTimeout": 3,
    "Tty": True,
    "OpenStdin": True,
    "HostConfig": {
        "Binds": ["/usr:/u:ro", "apishape:/v"],
        "Mounts": [{"Type": "tmpfs", "Target": "/tt", "TmpfsOptions": {"SizeBytes": 1048576, "Mode": 448}}],
        "Tmpfs": {"/t2": "size=1m"},
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        "CapAdd": ["NET_ADMIN"],
        "CapDrop": ["MKNOD"],
        "Dns": ["9.9.9.9"],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": ["x:1.2.3.4"],
        "GroupAdd": ["5"],
        "Init": True,
        "Memory": 67108864,
        "PidsLimit": 50,
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "ShmSize": 1048576,
        "Sysctls": {"net.ipv4.ip_forward": "0"},
        "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n2", "CgroupPermissions": "r"}],
        "Annotations": {"k": "v"},
    },
}


def tree(value: Any, place: str = "") -> Any:
    """Keys and kinds: "str", "int", "bool", "null"; a list is [shape of its first element] or []."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        if place.rsplit(".", 1)[-1] in _DATA:
            shapes = [tree(value[name], f"{place}.*") for name in sorted(value)]
            return {"*": shapes[0]} if shapes else {}
        return {name: tree(item, f"{place}.{name}") for name, item in value.items()}
    if isinstance(value, list):
        if place.endswith((".Mounts", ".Ports")):  # dockerd's order is by chance
            value = sorted(value, key=lambda item: (item.get("Destination", ""), item.get("PrivatePort", 0)))
        return [tree(value[0], f"{place}[]")] if value else []
    return type(value).__name__


def differences(wanted: Any, given: Any, place: str = "", ignored: frozenset[str] = frozenset()) -> list[str]:
    """What a client could stumble over, one line each; places in `ignored` may differ."""
    if place in ignored:
        return []
    if isinstance(wanted, dict) and isinstance(given, dict):
        lines = [
            f"{place}.{name}: missing" for name in wanted if name not in given and f"{place}.{name}" not in ignored
        ]
        lines += [
            f"{place}.{name}: unknown" for name in given if name not in wanted and f"{place}.{name}" not in ignored
        ]
        for name in wanted.keys() & given.keys():
            lines += differences(wanted[name], given[name], f"{place}.{name}", ignored)
        return lines
    if isinstance(wanted, list) and isinstance(given, list):
        if bool(wanted) != bool(given):
            return [f"{place}: {wanted} wanted, {given} given"]
        return differences(wanted[0], given[0], f"{place}[]", ignored) if wanted else []
    return [] if wanted == given else [f"{place}: {wanted} wanted, {given} given"]


def misordered(wanted: Any, given: Any, place: str = "") -> list[str]:
    """Objects whose fields come in another order than Docker's, which people who read the JSON are used to."""
    if isinstance(wanted, list) and isinstance(given, list) and wanted and given:
        return misordered(wanted[0], given[0], f"{place}[]")
    if not isinstance(wanted, dict) or not isinstance(given, dict):
        return []
    both = [name for name in wanted if name in given]
    lines = [] if both == [name for name in given if name in wanted] else [f"{place}: {list(given)}"]
    for name in both:
        lines += misordered(wanted[name], given[name], f"{place}.{name}")
    return lines


def record(api: Api) -> dict[str, Any]:
    """Make, look at and remove a few objects; {name of the answer: its shape}."""
    shapes: dict[str, Any] = {}

    def keep(name: str, method: str, path: str, body: Any = None) -> Any:
        status, value = api(method, path, body)
        assert status < 400, (name, status, value)
        shapes[name] = tree(value)
        return value

    for leftover in ("apiplain", "apifull"):
        api("DELETE", f"/containers/{leftover}?force=1&v=1", None)
    keep("create", "POST", "/containers/create?name=apiplain", {"Image": "busybox", "Cmd": ["sleep", "600"]})
    keep("inspect created", "GET", "/containers/apiplain/json")
    api("POST", "/containers/apiplain/start", None)
    keep("inspect running", "GET", "/containers/apiplain/json?size=1")
    keep("inspect 1.43", "GET", "/v1.43/containers/apiplain/json")
    keep("list", "GET", '/containers/json?size=1&filters={"name":["apiplain"]}')
    keep("top", "GET", "/containers/apiplain/top")
    exec_id = keep(
        "exec create", "POST", "/containers/apiplain/exec", {"Cmd": ["sleep", "9"], "User": "0", "AttachStdout": True}
    )["Id"]
    keep("exec inspect", "GET", f"/exec/{exec_id}/json")
    keep("exec start", "POST", f"/exec/{exec_id}/start", {"Detach": True})
    keep("exec running", "GET", f"/exec/{exec_id}/json")
    keep("network", "GET", "/networks/bridge")
    keep("networks", "GET", '/networks?filters={"name":["bridge"]}')
    keep("network host", "GET", "/networks/host")
    api("POST", "/containers/apiplain/stop?t=0", None)
    keep("inspect exited", "GET", "/containers/apiplain/json")
    keep("wait", "POST", "/containers/apiplain/wait")
    keep("list exited", "GET", '/containers/json?all=1&filters={"name":["apiplain"]}')
    api("DELETE", "/containers/apiplain", None)
    api("POST", "/containers/create?name=apifull", FULL)
    api("POST", "/containers/apifull/start", None)
    keep("inspect full", "GET", "/containers/apifull/json")
    keep("list full", "GET", '/containers/json?filters={"name":["apifull"]}')
    keep("volumes", "GET", "/volumes")
    api("DELETE", "/containers/apifull?force=1&v=1", None)
    api("DELETE", "/volumes/apishape", None)
    keep("volume", "POST", "/volumes/create", {"Name": "apishape", "Labels": {"a": "b"}})
    api("DELETE", "/volumes/apishape", None)
    keep("volumes none", "GET", '/volumes?filters={"name":["no-such"]}')
    keep("containers prune", "POST", '/containers/prune?filters={"label":["no-such"]}')
    keep("volumes prune", "POST", '/volumes/prune?filters={"label":["no-such"]}')
    keep("image", "GET", "/images/busybox/json")
    keep("image 1.43", "GET", "/v1.43/images/busybox/json")
    keep("images", "GET", '/images/json?filters={"reference":["busybox"]}')
    keep("images 1.43", "GET", '/v1.43/images/json?filters={"reference":["busybox"]}')
    keep("history", "GET", "/images/busybox/history")
    keep("version", "GET", "/version")
    keep("info", "GET", "/info")
    keep("df", "GET", "/system/df")
    time.sleep(0.01)
    return shapes


def load() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())["shapes"]  # type: ignore[no-any-return]

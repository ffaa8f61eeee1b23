"""The options of `run` and `create` as the body of POST /containers/create.

Everything raises ValueError with Docker's sentence. Modules that only some options need are imported where they are used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags


def body(session: Session, flags: Flags, image: str, command: list[str], console: tuple[int, int]) -> dict[str, Any]:
    """The request's body. `console` is (height, width) of our terminal, zeros when there is none."""
    config = _config(session, flags, image, command)
    host = _host_config(flags, console)
    _processes(flags, config, host)
    _volumes(flags, config, host)
    _ports(flags, config, host)
    _resources(flags, host)
    if flags.changed("security-opt"):
        _security(flags, host)
    host["NetworkMode"], endpoints = _networking(flags)
    return {**config, "HostConfig": host, "NetworkingConfig": {"EndpointsConfig": endpoints}}


def streams(flags: Flags) -> tuple[bool, bool, bool]:
    """Which of stdin, stdout and stderr are attached."""
    chosen = flags.items("attach")
    every = not chosen and not ("detach" in flags._defaults and flags.on("detach"))
    return "stdin" in chosen or flags.on("interactive"), every or "stdout" in chosen, every or "stderr" in chosen


def _config(session: Session, flags: Flags, image: str, command: list[str]) -> dict[str, Any]:
    stdin, stdout, stderr = streams(flags)
    opened = flags.on("interactive")
    entrypoint: list[str] | None = None
    if flags.changed("entrypoint"):
        entrypoint = [flags.text("entrypoint")]
    config: dict[str, Any] = {
        "Hostname": flags.text("hostname"),
        "Domainname": flags.text("domainname"),
        "User": flags.text("user"),
        "AttachStdin": stdin,
        "AttachStdout": stdout,
        "AttachStderr": stderr,
        "Tty": flags.on("tty"),
        "OpenStdin": opened,
        "StdinOnce": opened and stdin,
        "Env": _environment(session, flags) or None,
        "Cmd": command or None,
        "Image": image,
        "Volumes": {},
        "WorkingDir": flags.text("workdir"),
        "Entrypoint": entrypoint,
        "OnBuild": None,
        "Labels": _labels(flags),
    }
    if flags.changed("mac-address"):
        config["MacAddress"] = _mac(flags.text("mac-address"))
    if flags.changed("stop-signal"):
        config["StopSignal"] = flags.text("stop-signal")
    if flags.changed("stop-timeout"):
        config["StopTimeout"] = flags.number("stop-timeout")
    health = _health(flags)
    if health is not None:
        config["Healthcheck"] = health
    return config


def _environment(session: Session, flags: Flags) -> list[str]:
    out: list[str] = []
    for path in flags.items("env-file"):
        from scow.cli.keyvalues import read_lines

        out += read_lines(path, expand=True)
    out += flags.items("env")
    config = session.config
    if config is not None and config.mapping("proxies"):
        out += config.proxies(session.client.endpoint.host, out)
    return out


def _labels(flags: Flags) -> dict[str, str]:
    if not flags.changed("label") and not flags.changed("label-file"):
        return {}
    from scow.cli.keyvalues import mapping, read_lines

    lines: list[str] = []
    for path in flags.items("label-file"):
        lines += read_lines(path, expand=False)
    return mapping(lines + flags.items("label"))


def _mac(text: str) -> str:
    digits = text.replace("-", ":").split(":")
    if "." in text:
        digits = [half for part in text.split(".") for half in (part[:2], part[2:])]
    right = len(digits) in (6, 8, 20) and all(len(d) == 2 and set(d.lower()) <= set("0123456789abcdef") for d in digits)
    if not right:
        raise ValueError(f"{text} is not a valid mac address")
    return text


_HEALTH = ("health-interval", "health-timeout", "health-start-period", "health-start-interval")


def _health(flags: Flags) -> dict[str, Any] | None:
    given = flags.text("health-cmd") or any(flags.number(name) for name in (*_HEALTH, "health-retries"))
    if flags.on("no-healthcheck"):
        if given:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not given:
        return None
    for name in (*_HEALTH, "health-retries"):
        if flags.number(name) < 0:
            raise ValueError(f"--{name} cannot be negative")
    command = flags.text("health-cmd")
    health: dict[str, Any] = {"Test": ["CMD-SHELL", command]} if command else {}
    names = ("Interval", "Timeout", "StartPeriod", "StartInterval")
    for key, name in zip((*names, "Retries"), (*_HEALTH, "health-retries"), strict=True):
        if flags.number(name):
            health[key] = flags.number(name)
    return health


def _host_config(flags: Flags, console: tuple[int, int]) -> dict[str, Any]:
    log_driver = flags.text("log-driver")
    log_options: dict[str, str] = {}
    if flags.changed("log-opt"):
        from scow.cli.keyvalues import mapping

        if log_driver == "none":
            raise ValueError("invalid logging opts for driver none")
        log_options = mapping(flags.items("log-opt"))
    restart = restart_policy(flags.text("restart"))
    if flags.on("rm") and restart["Name"] not in ("no", ""):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    return {
        "Binds": None,
        "ContainerIDFile": flags.text("cidfile"),
        "LogConfig": {"Type": log_driver, "Config": log_options},
        "NetworkMode": "",
        "PortBindings": {},
        "RestartPolicy": restart,
        "AutoRemove": flags.on("rm"),
        "VolumeDriver": flags.text("volume-driver"),
        "VolumesFrom": flags.items("volumes-from") or None,
        "ConsoleSize": [*console],
        "CapAdd": flags.items("cap-add") or None,
        "CapDrop": flags.items("cap-drop") or None,
        "CgroupnsMode": _mode(flags, "cgroupns", "CGROUP", ("", "host", "private"), ""),
        "Dns": flags.items("dns"),
        "DnsOptions": flags.items("dns-option"),
        "DnsSearch": flags.items("dns-search"),
        "ExtraHosts": flags.items("add-host") or None,
        "GroupAdd": flags.items("group-add") or None,
        "IpcMode": flags.text("ipc"),
        "Cgroup": "",
        "Links": flags.items("link") or None,
        "OomScoreAdj": flags.number("oom-score-adj"),
        "PidMode": _mode(flags, "pid", "PID", ("", "host"), "container:"),
        "Privileged": flags.on("privileged"),
        "PublishAllPorts": flags.on("publish-all"),
        "ReadonlyRootfs": flags.on("read-only"),
        "SecurityOpt": None,
        "UTSMode": _mode(flags, "uts", "UTS", ("", "host"), ""),
        "UsernsMode": _mode(flags, "userns", "USER", ("", "host"), ""),
        "ShmSize": flags.number("shm-size"),
        "Isolation": flags.text("isolation"),
        "MaskedPaths": None,
        "ReadonlyPaths": None,
    }


def _mode(flags: Flags, option: str, word: str, allowed: tuple[str, ...], prefix: str) -> str:
    value = flags.text(option)
    if value in allowed or (prefix and value.startswith(prefix) and len(value) > len(prefix)):
        return value
    raise ValueError(f"--{option}: invalid {word} mode")


def restart_policy(text: str) -> dict[str, Any]:
    """`name[:count]` as the API wants it."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    retries = 0
    if count:
        digits = count[1:] if count[0] in "+-" else count
        if not digits.isdigit() or not digits.isascii():
            raise ValueError("invalid restart policy format: maximum retry count must be an integer")
        retries = int(count)
    return {"Name": name, "MaximumRetryCount": retries}


def _processes(flags: Flags, config: dict[str, Any], host: dict[str, Any]) -> None:
    """Options whose field is left out unless they are given."""
    if flags.changed("health-on-failure"):
        host["HealthOnFailure"] = flags.text("health-on-failure")
    if flags.changed("init"):
        host["Init"] = flags.on("init")
    if flags.changed("runtime"):
        host["Runtime"] = flags.text("runtime")
    for name, key in (("annotation", "Annotations"), ("sysctl", "Sysctls"), ("storage-opt", "StorageOpt")):
        if flags.changed(name):
            from scow.cli.keyvalues import mapping

            if name == "storage-opt" and not all("=" in item for item in flags.items(name)):
                raise ValueError("invalid storage option")
            host[key] = mapping(flags.items(name))


def _volumes(flags: Flags, config: dict[str, Any], host: dict[str, Any]) -> None:
    if flags.changed("mount"):
        host["Mounts"] = flags.items("mount")
    if not flags.changed("volume") and not flags.changed("tmpfs"):
        return
    from scow.cli.mounts import parse_tmpfs, parse_volume

    binds = []
    for spec in flags.items("volume"):
        bind, anonymous = parse_volume(spec)
        if bind:
            binds.append(bind)
        else:
            config["Volumes"][anonymous] = {}
    host["Binds"] = list(dict.fromkeys(binds)) or None
    if flags.changed("tmpfs"):
        host["Tmpfs"] = dict(parse_tmpfs(item) for item in flags.items("tmpfs"))


def _ports(flags: Flags, config: dict[str, Any], host: dict[str, Any]) -> None:
    if not flags.changed("publish") and not flags.changed("expose"):
        return
    from scow.cli.ports import expose, publish

    exposed, host["PortBindings"] = publish(flags.items("publish"))
    for port in expose(flags.items("expose")):
        exposed.setdefault(port, {})
    config["ExposedPorts"] = exposed


def _resources(flags: Flags, host: dict[str, Any]) -> None:
    swappiness = flags.number("memory-swappiness")
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    devices: list[dict[str, str]] = []
    requests: list[Any] = flags.items("gpus")
    if flags.changed("device"):
        from scow.cli.mounts import is_cdi, parse_device

        named = [device for device in flags.items("device") if is_cdi(device)]
        devices = [parse_device(device) for device in flags.items("device") if not is_cdi(device)]
        if named:
            requests = [
                *requests,
                {"Driver": "cdi", "Count": 0, "DeviceIDs": named, "Capabilities": None, "Options": None},
            ]
    host |= {
        "CpuShares": flags.number("cpu-shares"),
        "Memory": flags.number("memory"),
        "NanoCpus": flags.number("cpus"),
        "CgroupParent": flags.text("cgroup-parent"),
        "BlkioWeight": flags.number("blkio-weight"),
        "BlkioWeightDevice": flags.items("blkio-weight-device"),
        "BlkioDeviceReadBps": flags.items("device-read-bps"),
        "BlkioDeviceWriteBps": flags.items("device-write-bps"),
        "BlkioDeviceReadIOps": flags.items("device-read-iops"),
        "BlkioDeviceWriteIOps": flags.items("device-write-iops"),
        "CpuPeriod": flags.number("cpu-period"),
        "CpuQuota": flags.number("cpu-quota"),
        "CpuRealtimePeriod": flags.number("cpu-rt-period"),
        "CpuRealtimeRuntime": flags.number("cpu-rt-runtime"),
        "CpusetCpus": flags.text("cpuset-cpus"),
        "CpusetMems": flags.text("cpuset-mems"),
        "Devices": devices,
        "DeviceCgroupRules": flags.items("device-cgroup-rule") or None,
        "DeviceRequests": requests or None,
        "MemoryReservation": flags.number("memory-reservation"),
        "MemorySwap": flags.number("memory-swap"),
        "MemorySwappiness": swappiness,
        "OomKillDisable": flags.on("oom-kill-disable"),
        "PidsLimit": flags.number("pids-limit"),
        "Ulimits": flags.items("ulimit"),
        "CpuCount": flags.number("cpu-count"),
        "CpuPercent": flags.number("cpu-percent"),
        "IOMaximumIOps": flags.number("io-maxiops"),
        "IOMaximumBandwidth": flags.number("io-maxbandwidth"),
    }


def _security(flags: Flags, host: dict[str, Any]) -> None:
    out = []
    for option in flags.items("security-opt"):
        name, found, value = option.partition("=")
        if not found and name != "no-new-privileges":
            name, found, value = option.partition(":")
        if name != "no-new-privileges" and not value:
            raise ValueError(f'Invalid --security-opt: "{option}"')
        if name == "systempaths" and value == "unconfined":
            host["MaskedPaths"] = []
            host["ReadonlyPaths"] = []
            continue
        if name == "seccomp" and value not in ("unconfined", "builtin"):
            option = "seccomp=" + _seccomp_profile(value)
        out.append(option)
    host["SecurityOpt"] = out or None


def _seccomp_profile(path: str) -> str:
    from scow.client import jsontext
    from scow.client.config import read_file

    try:
        raw = read_file(path)
    except OSError as error:
        raise ValueError(
            f"opening seccomp profile ({path}) failed: open {path}: {(error.strerror or '').lower()}"
        ) from None
    try:
        return jsontext.encode(jsontext.decode(raw)).decode()
    except ValueError as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from None


_DEFAULT_ENDPOINT = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None, "NetworkID": "",
    "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0, "DNSNames": None,
}  # fmt: skip
_NETWORK_OPTIONS = ("network", "network-alias", "ip", "ip6", "mac-address", "link-local-ip", "link")


def _networking(flags: Flags) -> tuple[str, dict[str, Any]]:
    if not any(flags.changed(name) for name in _NETWORK_OPTIONS):
        return "default", {"default": _DEFAULT_ENDPOINT}
    from scow.cli.networks import networking

    return networking(flags)

"""What create refuses before anything is made, with Docker's sentences."""

import re

from scow.engine.containers import signals
from scow.engine.spec import capabilities, devices, mounts, resources, security
from scow.errors import InvalidArgument
from scow.logs import validation
from scow.model import health
from scow.model.container import ContainerConfig, HealthCheck, HostConfig, RestartPolicy

_SYSCTL = re.compile(r"[a-z0-9_]+([./][a-zA-Z0-9_-]+)+\Z")
_SYSCTL_ALLOWED = ("net.", "fs.mqueue.")
_SYSCTL_NAMES = frozenset(
    {
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    }
)
_POLICIES = frozenset({"", "no", "always", "unless-stopped", "on-failure"})
_MILLISECOND = 10**6
_HOSTNAME_MAXIMUM = 64
HOST_AND_LINKS = (
    "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
)


def check(config: ContainerConfig, host: HostConfig) -> None:
    """InvalidArgument (or NotFound for a log driver) that names the field and the value."""
    _check_config(config)
    _check_lines(config, host)
    _check_modes(host)
    if config.hostname and host.network_mode.startswith("container:"):
        raise InvalidArgument("conflicting options: hostname and the network mode")
    if host.uts_mode == "host" and (config.hostname or config.domainname):
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    check_policy(host.restart_policy, auto_remove=host.auto_remove)
    if host.health_on_failure not in health.ACTIONS:
        raise InvalidArgument(
            f"invalid HealthOnFailure {host.health_on_failure!r}: use one of 'none', 'kill', 'restart', or 'stop'"
        )
    resources.check(host)
    capabilities.normalise(host.cap_add, "CapAdd")
    capabilities.normalise(host.cap_drop, "CapDrop")
    security.parse(host.security_opt)
    for text in host.device_cgroup_rules:
        devices.rule(text)
    for name, value in host.sysctls.items():
        _check_sysctl(name, value, host)
    for mount in host.mounts:
        if "\0" in mount.source + mount.target:
            raise InvalidArgument(f"a NUL character is not allowed in {mount.source + ':' + mount.target!r}")
        if not mount.target.startswith("/"):
            raise InvalidArgument(f"invalid mount path: '{mount.target}' mount path must be absolute")
        if mount.propagation and mount.propagation not in mounts.PROPAGATIONS:
            raise InvalidArgument(f"invalid propagation mode: {mount.propagation}")
    validation.validate(host.log.driver, host.log.options)


def _check_lines(config: ContainerConfig, host: HostConfig) -> None:
    """What becomes part of a line in the container's hosts and resolv.conf is no line of its own (CVE-2022-4318)."""
    for name, values in (
        ("Hostname", (config.hostname,)),
        ("Domainname", (config.domainname,)),
        ("Dns", host.dns),
        ("DnsSearch", host.dns_search),
        ("DnsOptions", host.dns_options),
        ("ExtraHosts", host.extra_hosts),
        ("Links", host.links),
    ):
        for value in values:
            if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
                raise InvalidArgument(f"invalid {name} {value!r}: it holds a control character")


def _check_config(config: ContainerConfig) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    if config.stop_signal:
        signals.number(config.stop_signal)
    for word in config.env:
        if not word or word.startswith("="):
            raise InvalidArgument(f"invalid environment variable: {word}")
    for text in (
        *config.env,
        *(config.cmd or ()),
        *(config.entrypoint or ()),
        config.user,
        config.working_dir,
        config.hostname,
    ):
        if "\0" in text:
            raise InvalidArgument(f"a NUL character is not allowed in {text!r}")
    if config.healthcheck is not None:
        _check_health(config.healthcheck)


def _check_health(check: HealthCheck) -> None:
    if check.test and check.test[0] not in ("NONE", "CMD", "CMD-SHELL", ""):
        raise InvalidArgument(f"Unknown healthcheck type {check.test[0]}")
    for name, value in (("Interval", check.interval), ("Timeout", check.timeout)):
        if value and value < _MILLISECOND:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    for name, value in (("StartPeriod", check.start_period), ("StartInterval", check.start_interval)):
        if value and value < _MILLISECOND:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")


def _check_modes(host: HostConfig) -> None:
    for kind, mode, words in (
        ("IPC", host.ipc_mode, ("", "none", "private", "shareable", "host")),
        ("PID", host.pid_mode, ("", "host")),
        ("UTS", host.uts_mode, ("", "host")),
        ("cgroup namespace", host.cgroupns_mode, ("", "private", "host")),
        ("user namespace", host.userns_mode, ("", "host")),
    ):
        shared = mode.startswith("container:") and len(mode) > 10 and kind in ("IPC", "PID")
        if mode not in words and not shared:
            raise InvalidArgument(f"invalid {kind} mode: {mode}")
    if host.privileged and host.userns_mode not in ("", "host"):
        raise InvalidArgument(
            "privileged mode is incompatible with user namespaces.  "
            "You must run the container in the host namespace when running privileged mode"
        )
    if host.network_mode == "host" and host.links:
        raise InvalidArgument(HOST_AND_LINKS)
    published = bool(host.port_bindings) or host.publish_all_ports
    if host.network_mode.startswith("container:"):
        if host.links:
            raise InvalidArgument(
                "conflicting options: container type network can't be used with links. "
                "This would result in undefined behavior"
            )
        if published:
            raise InvalidArgument("conflicting options: port publishing and the container type network mode")
        if host.extra_hosts:
            raise InvalidArgument("conflicting options: custom host-to-IP mapping and the network mode")
        if host.dns:
            raise InvalidArgument("conflicting options: dns and the network mode")


def check_policy(policy: RestartPolicy, *, auto_remove: bool) -> None:
    """InvalidArgument for one that cannot be."""
    if policy.name not in _POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if auto_remove and policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def _check_sysctl(name: str, value: str, host: HostConfig) -> None:
    """Only namespaced ones, one file each, with nothing in the value that could mean two (CVE-2022-0811)."""
    plain = name.replace("/", ".")
    allowed = plain.startswith(_SYSCTL_ALLOWED) or plain in _SYSCTL_NAMES
    if not _SYSCTL.match(name) or ".." in name or not allowed or any(character in value for character in "\n\0+"):
        raise InvalidArgument(f"sysctl '{name}={value}' is not allowed")
    if plain.startswith("net.") and host.network_mode == "host":
        raise InvalidArgument(f"sysctl '{name}' not allowed in host network namespace")
    if not plain.startswith("net.") and host.ipc_mode == "host":
        raise InvalidArgument(f"sysctl '{name}' not allowed in host ipc namespace")

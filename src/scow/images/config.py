"""From image documents to the engine's Image. What an image says is data: odd entries are dropped or refused here."""

from collections.abc import Sequence
from typing import Any

from scow.model.container import ContainerConfig, HealthCheck
from scow.model.image import HistoryEntry, Image
from scow.model.ports import Port
from scow.oci.documents import InvalidDocument, object_field, strings, text_field
from scow.oci.image import ImageConfig, chain_ids

_WHAT = "image config"
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})


def image_of(
    image_id: str,
    config: ImageConfig,
    *,
    tags: Sequence[str],
    digests: Sequence[str],
    behind: Sequence[str] = (),
    size: int,
    tagged_at: int,
    parent: str,
) -> Image:
    """The Image of a config with what the store knows about it."""
    document = config.document
    return Image(
        id=image_id,
        architecture=config.architecture,
        os=config.os,
        created=config.created,
        config=container_config(config.config),
        variant=config.variant,
        author=text_field(document, "author", _WHAT),
        comment=text_field(document, "comment", _WHAT) or _last_comment(config),
        docker_version=text_field(document, "docker_version", _WHAT),
        diff_ids=config.diff_ids,
        chain_ids=chain_ids(config.diff_ids),
        history=tuple(_history(entry) for entry in config.history),
        tags=tuple(tags),
        digests=tuple(digests),
        behind=tuple(behind),
        size=size,
        tagged_at=tagged_at,
        parent=parent,
    )


def _last_comment(config: ImageConfig) -> str:
    """Docker shows the newest line's comment for an image that has none itself."""
    return text_field(config.history[-1], "comment", _WHAT) if config.history else ""


def container_config(value: dict[str, Any]) -> ContainerConfig:
    """The `config` object of an image config."""
    return ContainerConfig(
        image=text_field(value, "Image", _WHAT),
        hostname=text_field(value, "Hostname", _WHAT),
        domainname=text_field(value, "Domainname", _WHAT),
        user=text_field(value, "User", _WHAT),
        env=_environment(strings(value.get("Env"), "image config Env")),
        cmd=_command(value, "Cmd"),
        entrypoint=_command(value, "Entrypoint"),
        working_dir=text_field(value, "WorkingDir", _WHAT),
        labels=_labels(object_field(value, "Labels", _WHAT)),
        exposed_ports=_ports(object_field(value, "ExposedPorts", _WHAT)),
        volumes=tuple(sorted(object_field(value, "Volumes", _WHAT))),
        stop_signal=text_field(value, "StopSignal", _WHAT),
        stop_timeout=_integer(value, "StopTimeout") if value.get("StopTimeout") is not None else None,
        healthcheck=_health(object_field(value, "Healthcheck", _WHAT)),
        on_build=strings(value.get("OnBuild"), "image config OnBuild"),
        shell=strings(value.get("Shell"), "image config Shell"),
        args_escaped=value.get("ArgsEscaped") is True,
    )


def _command(value: dict[str, Any], key: str) -> tuple[str, ...] | None:
    return None if value.get(key) is None else strings(value[key], f"image config {key}")


def _environment(entries: tuple[str, ...]) -> tuple[str, ...]:
    """NAME=value only: a bare NAME would later mean "take it from the host" (CVE-2026-57231)."""
    return tuple(entry for entry in entries if entry.find("=") > 0 and "\0" not in entry)


def _labels(value: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(text, str) for text in value.values()):
        raise InvalidDocument(f"{_WHAT}: labels must be strings")
    return value


def _ports(value: dict[str, Any]) -> tuple[Port, ...]:
    ports = []
    for text in value:
        number, _, protocol = text.partition("/")
        protocol = protocol.lower() or "tcp"
        if not number.isascii() or not number.isdigit() or len(number) > 5 or protocol not in _PROTOCOLS:
            raise InvalidDocument(f"{_WHAT}: invalid exposed port {text[:80]!r}")
        if 1 <= int(number) <= 65535:
            ports.append(Port(int(number), protocol))
    return tuple(sorted(ports))


def _health(value: dict[str, Any]) -> HealthCheck | None:
    if not value:
        return None
    return HealthCheck(
        test=strings(value.get("Test"), "image config Healthcheck"),
        interval=_integer(value, "Interval"),
        timeout=_integer(value, "Timeout"),
        start_period=_integer(value, "StartPeriod"),
        start_interval=_integer(value, "StartInterval"),
        retries=_integer(value, "Retries"),
    )


def _integer(value: dict[str, Any], key: str) -> int:
    number = value.get(key) or 0
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 63:
        raise InvalidDocument(f"{_WHAT}: invalid {key}")
    return number


def _history(entry: dict[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        created=text_field(entry, "created", _WHAT),
        created_by=text_field(entry, "created_by", _WHAT),
        author=text_field(entry, "author", _WHAT),
        comment=text_field(entry, "comment", _WHAT),
        empty_layer=entry.get("empty_layer") is True,
    )


def render_config(config: ContainerConfig) -> dict[str, Any]:
    """The `config` object of an image config, with the fields that Docker writes."""
    value: dict[str, Any] = {
        "Hostname": config.hostname,
        "Domainname": config.domainname,
        "User": config.user,
        "AttachStdin": config.attach_stdin,
        "AttachStdout": config.attach_stdout,
        "AttachStderr": config.attach_stderr,
        "Tty": config.tty,
        "OpenStdin": config.open_stdin,
        "StdinOnce": config.stdin_once,
        "Env": list(config.env) or None,
        "Cmd": None if config.cmd is None else list(config.cmd),
        "Image": config.image,
        "Volumes": {path: {} for path in config.volumes} or None,
        "WorkingDir": config.working_dir,
        "Entrypoint": None if config.entrypoint is None else list(config.entrypoint),
        "OnBuild": list(config.on_build) or None,
        "Labels": dict(config.labels) or None,
    }
    optional = {
        "ExposedPorts": {str(port): {} for port in config.exposed_ports},
        "ArgsEscaped": config.args_escaped,
        "NetworkDisabled": config.network_disabled,
        "StopSignal": config.stop_signal,
        "StopTimeout": config.stop_timeout,
        "Shell": list(config.shell),
        "Healthcheck": _render_health(config.healthcheck) if config.healthcheck else None,
    }
    return value | {name: item for name, item in optional.items() if item or item == 0 and name == "StopTimeout"}


def _render_health(check: HealthCheck) -> dict[str, Any]:
    fields = {
        "Test": list(check.test),
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {name: item for name, item in fields.items() if item}

"""The container configuration: domain to wire, for containers and images."""

from msgspec import UNSET

from scow.api.config import Config, Health
from scow.api.values import Empty
from scow.model.container import ContainerConfig, HealthCheck
from scow.server.docker.convert import ports


def show_config(config: ContainerConfig, *, image: bool = False) -> Config:
    """`image`: an image's config has null labels when it has none, a container's has {}."""
    wire = Config(
        Hostname=config.hostname,
        Domainname=config.domainname,
        User=config.user,
        AttachStdin=config.attach_stdin,
        AttachStdout=config.attach_stdout,
        AttachStderr=config.attach_stderr,
        Tty=config.tty,
        OpenStdin=config.open_stdin,
        StdinOnce=config.stdin_once,
        Env=list(config.env) or (None if image else []),
        Cmd=None if config.cmd is None else list(config.cmd),
        Image=config.image,
        Volumes={target: Empty() for target in config.volumes} or None,
        WorkingDir=config.working_dir,
        Entrypoint=None if config.entrypoint is None else list(config.entrypoint),
        OnBuild=list(config.on_build) or None,
        Labels=config.labels or (None if image else {}),
    )
    if config.exposed_ports:
        wire.ExposedPorts = dict(ports.show_exposed(config.exposed_ports))
    if config.healthcheck is not None:
        wire.Healthcheck = _show_health(config.healthcheck)
    if config.args_escaped:
        wire.ArgsEscaped = True
    if config.network_disabled:
        wire.NetworkDisabled = True
    if config.mac_address:
        wire.MacAddress = config.mac_address
    if config.stop_signal:
        wire.StopSignal = config.stop_signal
    if config.stop_timeout is not None:
        wire.StopTimeout = config.stop_timeout
    if config.shell:
        wire.Shell = list(config.shell)
    return wire


def _show_health(check: HealthCheck) -> Health:
    return Health(
        Test=list(check.test) or UNSET,
        Interval=check.interval or UNSET,
        Timeout=check.timeout or UNSET,
        StartPeriod=check.start_period or UNSET,
        StartInterval=check.start_interval or UNSET,
        Retries=check.retries or UNSET,
    )

"""The instructions that change an image's configuration, applied to one. Each takes a command whose variables are
expanded already; the sentences are those of Docker's daemon.
"""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from scow.build.frontend import commands
from scow.build.frontend.commands import Command
from scow.errors import InvalidArgument
from scow.model.container import ContainerConfig, HealthCheck
from scow.model.ports import Port

SHELL = ("/bin/sh", "-c")
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})

CheckSignal = Callable[[str], object]
"""Raises for a signal that does not exist."""


@dataclass(frozen=True, slots=True)
class Settings:
    """An image's configuration on its way through the steps of a stage.

    `cmd_set`: a CMD has come, so that ENTRYPOINT leaves it; without one ENTRYPOINT drops that of the base.
    """

    config: ContainerConfig
    author: str = ""
    cmd_set: bool = False


def apply(settings: Settings, command: Command, check_signal: CheckSignal) -> Settings:
    """The settings after the command; unchanged by one that concerns files or the build alone."""
    if isinstance(command, commands.StopSignal):
        check_signal(command.signal)
    rule = _RULES.get(type(command))
    return settings if rule is None else rule(settings, command)


def environment(config: ContainerConfig) -> Mapping[str, str]:
    pairs = (entry.partition("=") for entry in config.env)
    return {name: value for name, _, value in pairs}


def with_shell(config: ContainerConfig, command: tuple[str, ...], shell: bool) -> tuple[str, ...]:
    """The words to execute: those of the exec form, or one string behind the stage's shell."""
    return (*(config.shell or SHELL), *command) if shell else command


def _with(settings: Settings, **changes: object) -> Settings:
    return replace(settings, config=replace(settings.config, **changes))  # type: ignore[arg-type]


def _env(settings: Settings, command: commands.Env) -> Settings:
    entries = list(settings.config.env)
    places: dict[str, int] = {}
    for index, entry in enumerate(entries):
        places.setdefault(entry.partition("=")[0], index)
    for name, value in command.pairs:
        if not name:
            raise InvalidArgument(f"invalid environment variable: ={value}")
        if name in places:
            entries[places[name]] = f"{name}={value}"
        else:
            places[name] = len(entries)
            entries.append(f"{name}={value}")
    return _with(settings, env=tuple(entries))


def _label(settings: Settings, command: commands.Label) -> Settings:
    return _with(settings, labels={**settings.config.labels, **dict(command.pairs)})


def _cmd(settings: Settings, command: commands.Cmd) -> Settings:
    words = with_shell(settings.config, command.command, command.shell)
    return replace(_with(settings, cmd=words, args_escaped=False), cmd_set=True)


def _entrypoint(settings: Settings, command: commands.Entrypoint) -> Settings:
    words = with_shell(settings.config, command.command, command.shell) or None
    return _with(settings, entrypoint=words, cmd=settings.config.cmd if settings.cmd_set else None)


def _expose(settings: Settings, command: commands.Expose) -> Settings:
    ports = dict.fromkeys(settings.config.exposed_ports)
    for text in command.ports:
        ports.update(dict.fromkeys(_ports(text)))
    return _with(settings, exposed_ports=tuple(ports))


def _ports(text: str) -> list[Port]:
    spec, _, protocol = text.rpartition(":")[2].partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"Invalid proto: {protocol}")
    low, dash, high = spec.partition("-")
    ends = [low, high] if dash else [low, low]
    for end in ends:
        if not (end.isascii() and end.isdigit() and len(end) < 6 and int(end) <= 65535):
            raise InvalidArgument(f"Invalid containerPort: {spec}")
    first, last = int(ends[0]), int(ends[1])
    if first > last or not first:
        raise InvalidArgument(f"Invalid containerPort: {spec}")
    return [Port(number, protocol) for number in range(first, last + 1)]


def _user(settings: Settings, command: commands.User) -> Settings:
    return _with(settings, user=command.user)


def _volume(settings: Settings, command: commands.Volume) -> Settings:
    if not all(command.paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    volumes = dict.fromkeys((*settings.config.volumes, *command.paths))
    return _with(settings, volumes=tuple(volumes))


def _workdir(settings: Settings, command: commands.Workdir) -> Settings:
    if not command.path:
        raise InvalidArgument("cannot normalize nothing")
    path = posixpath.normpath(posixpath.join("/", settings.config.working_dir, command.path))
    return _with(settings, working_dir="/" + path.lstrip("/"))


def _stop_signal(settings: Settings, command: commands.StopSignal) -> Settings:
    return _with(settings, stop_signal=command.signal)


def _shell(settings: Settings, command: commands.Shell) -> Settings:
    return _with(settings, shell=command.command)


def _maintainer(settings: Settings, command: commands.Maintainer) -> Settings:
    return replace(settings, author=command.name)


def _on_build(settings: Settings, command: commands.OnBuild) -> Settings:
    return _with(settings, on_build=(*settings.config.on_build, command.instruction))


def _healthcheck(settings: Settings, command: commands.Healthcheck) -> Settings:
    check = HealthCheck(
        test=(command.kind, *command.command),
        interval=command.interval,
        timeout=command.timeout,
        start_period=command.start_period,
        start_interval=command.start_interval,
        retries=command.retries,
    )
    return _with(settings, healthcheck=check)


_RULES: dict[type[Command], Callable[..., Settings]] = {
    commands.Cmd: _cmd,
    commands.Entrypoint: _entrypoint,
    commands.Env: _env,
    commands.Expose: _expose,
    commands.Healthcheck: _healthcheck,
    commands.Label: _label,
    commands.Maintainer: _maintainer,
    commands.OnBuild: _on_build,
    commands.Shell: _shell,
    commands.StopSignal: _stop_signal,
    commands.User: _user,
    commands.Volume: _volume,
    commands.Workdir: _workdir,
}

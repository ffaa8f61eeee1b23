"""What the history says of a step, in the words of Docker's builder. Commands come with their variables replaced."""

from collections.abc import Callable
from typing import Any

from scow.build import configure
from scow.build.frontend import words
from scow.build.frontend.commands import (
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from scow.model.container import ContainerConfig
from scow.model.health import duration


def of(command: Command, config: ContainerConfig) -> str:
    """The line of an instruction that changes the configuration alone; `config` is what came of it."""
    comment: str = _RULES[type(command)](config, command)
    return nothing(config, comment, wide=not isinstance(command, Workdir))


def nothing(config: ContainerConfig, comment: str, *, wide: bool = True) -> str:
    """The line of a step that runs nothing; what writes files has one space less in it (not `wide`)."""
    return " ".join((*shell_of(config), "#(nop) " if wide else "#(nop)", comment))


def shell_of(config: ContainerConfig) -> tuple[str, ...]:
    """What runs the shell form."""
    return config.shell or configure.SHELL


def _assigned(word: str) -> Callable[[ContainerConfig, Any], str]:
    def comment(config: ContainerConfig, command: Env | Label) -> str:
        return f"{word} " + " ".join(f"{name}={value}" for name, value in command.pairs)

    return comment


def _arg(config: ContainerConfig, command: Arg) -> str:
    return "ARG " + " ".join(name if value is None else f"{name}={value}" for name, value in command.pairs)


def _cmd(config: ContainerConfig, command: Cmd) -> str:
    return f"CMD {_quoted(config.cmd or ())}"


def _entrypoint(config: ContainerConfig, command: Entrypoint) -> str:
    return f"ENTRYPOINT {_quoted(config.entrypoint or ())}"


def _quoted(items: tuple[str, ...]) -> str:
    return "[" + " ".join(map(words.quoted, items)) + "]"


def _shell(config: ContainerConfig, command: Shell) -> str:
    return f"SHELL [{' '.join(command.command)}]"


def _user(config: ContainerConfig, command: User) -> str:
    return f"USER {command.user}"


def _workdir(config: ContainerConfig, command: Workdir) -> str:
    return f"WORKDIR {config.working_dir}"


def _volume(config: ContainerConfig, command: Volume) -> str:
    return f"VOLUME [{' '.join(command.paths)}]"


def _expose(config: ContainerConfig, command: Expose) -> str:
    return "EXPOSE " + " ".join(sorted(command.ports))


def _stop_signal(config: ContainerConfig, command: StopSignal) -> str:
    return f"STOPSIGNAL {command.signal}"


def _maintainer(config: ContainerConfig, command: Maintainer) -> str:
    return f"MAINTAINER {command.name}"


def _on_build(config: ContainerConfig, command: OnBuild) -> str:
    return f"ONBUILD {command.instruction}"


def _healthcheck(config: ContainerConfig, command: Healthcheck) -> str:
    times = (command.interval, command.timeout, command.start_period, command.start_interval)
    shown = " ".join(f'"{duration(value)}"' for value in times)
    return f"HEALTHCHECK &{{{_quoted((command.kind, *command.command))} {shown} {_rune(command.retries)}}}"


def _rune(value: int) -> str:
    """Go's %q of a number."""
    char = chr(value) if value < 0xD800 or 0xE000 <= value <= 0x10FFFF else "\ufffd"
    return "'" + {"'": "\\'", '"': '"'}.get(char, words.quoted(char)[1:-1]) + "'"


_RULES: dict[type[Command], Callable[[ContainerConfig, Any], str]] = {
    Arg: _arg,
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    Env: _assigned("ENV"),
    Expose: _expose,
    Healthcheck: _healthcheck,
    Label: _assigned("LABEL"),
    Maintainer: _maintainer,
    OnBuild: _on_build,
    Shell: _shell,
    StopSignal: _stop_signal,
    User: _user,
    Volume: _volume,
    Workdir: _workdir,
}

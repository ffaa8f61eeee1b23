"""The variables of a build: build arguments, the environment, what is predefined; which of them an instruction sees."""

from collections.abc import Iterable, Mapping

from scow.build.configure import environment
from scow.build.frontend import expand
from scow.build.frontend.commands import Arg
from scow.build.frontend.expand import Kind
from scow.model.container import ContainerConfig
from scow.oci.platform import Platform, host_platform

# Always there for RUN when they are given, never in the history or in a key: a proxy is the builder's, not the image's.
PREDEFINED = frozenset(
    name
    for word in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (word, word.lower())
)
EPOCH = "SOURCE_DATE_EPOCH"


class Arguments:
    """The build's arguments, and which of them some instruction has declared."""

    def __init__(self, given: Mapping[str, str | None], platform: Platform) -> None:
        self.given = given
        self._used: set[str] = set()
        self.automatic = {**_platform("TARGET", platform), **_platform("BUILD", host_platform())}

    def declared(self, name: str) -> None:
        self._used.add(name)

    def unused(self) -> list[str]:
        """Given, and declared nowhere."""
        return sorted(set(self.given) - self._used - PREDEFINED - {EPOCH} - set(self.automatic))


class Scope:
    """What one stage sees. `outer`: the values of the arguments before the first FROM."""

    def __init__(self, arguments: Arguments, outer: Mapping[str, str | None], escape: str) -> None:
        self._arguments = arguments
        self._outer = outer
        self._escape = escape
        self.values: dict[str, str | None] = {}

    def declare(self, command: Arg) -> None:
        """ARG: what was given, else the default, else the value before the first FROM. `command` is expanded."""
        for name, default in command.pairs:
            self._arguments.declared(name)
            self.values[name] = self._value(name, default)

    def _value(self, name: str, default: str | None) -> str | None:
        given = self._arguments.given.get(name)
        if given is not None:
            return given
        if default is not None:
            return default
        return self._outer.get(name, self._arguments.automatic.get(name))

    def known(self) -> dict[str, str]:
        """The declared arguments that have a value."""
        return {name: value for name, value in self.values.items() if value is not None}

    def shown(self, config: ContainerConfig) -> list[str]:
        """NAME=value of the arguments that RUN sees, sorted, for the history; the environment hides some."""
        hidden = environment(config)
        return sorted(f"{name}={value}" for name, value in self.known().items() if name not in hidden)

    def hidden(self, config: ContainerConfig) -> list[str]:
        """NAME=value of the predefined ones that were given and not declared."""
        taken = {*environment(config), *self.values}
        given = self._arguments.given
        return sorted(
            f"{name}={value}" for name, value in given.items() if name in PREDEFINED - taken and value is not None
        )

    def expanded(self, command: Kind, config: ContainerConfig | None) -> Kind:
        """The command with its variables replaced: the environment wins over arguments."""
        given = {
            name: value for name, value in self._arguments.given.items() if name in PREDEFINED and value is not None
        }
        variables = {**given, **self.known(), **(environment(config) if config else {})}
        return expand.expanded(command, variables.get, self._escape)


def outer(arguments: Arguments, commands: Iterable[Arg], escape: str) -> Scope:
    """The scope before the first FROM."""
    scope = Scope(arguments, arguments.automatic, escape)
    scope.values.update(arguments.automatic)
    for command in commands:
        scope.declare(scope.expanded(command, None))
    return scope


def _platform(prefix: str, platform: Platform) -> dict[str, str]:
    return {
        f"{prefix}PLATFORM": str(platform),
        f"{prefix}OS": platform.os,
        f"{prefix}ARCH": platform.architecture,
        f"{prefix}VARIANT": platform.variant,
    }

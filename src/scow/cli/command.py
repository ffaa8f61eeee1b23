"""What a command is, and what it gets to work with."""

from __future__ import annotations

import posix

from scow.cli import flags as flag_rules
from scow.cli.output import put, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scow.cli.flags import Flags, Option
    from scow.client.api import Client
    from scow.client.config import Config

UNLIMITED = -1


class Exit(Exception):
    """Ends the program with a code; a message, when there is one, goes to stderr as it is."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Command:
    """One command: its usage line, options, number of arguments, and the function that does it.

    `run(session, flags, args)` returns the exit code. `names` are the ways to call it, for the help text.
    """

    __slots__ = ("interspersed", "least", "most", "names", "options", "run", "summary", "usage")

    def __init__(
        self,
        run: Callable[[Session, Flags, list[str]], int],
        usage: str,
        summary: str,
        names: str = "",
        options: Sequence[Option] = (),
        least: int = 0,
        most: int = 0,
        interspersed: bool = True,
    ) -> None:
        self.run = run
        self.usage = usage
        self.summary = summary
        self.names = names
        self.options = options
        self.least = least
        self.most = most
        self.interspersed = interspersed

    def usage_line(self, path: str) -> str:
        """How it is called when it is called `path`; a second form stands in a line of its own."""
        return f"{path} {self.usage}".replace("{path}", path).rstrip()

    def check_count(self, path: str, program: str, count: int) -> None:
        """Raises Exit(1) with Docker's sentence when the number of arguments is wrong."""
        if count >= self.least and (self.most == UNLIMITED or count <= self.most):
            return
        see = "Run"
        if self.most == 0:
            rule = "accepts no arguments"
        elif self.most == UNLIMITED:
            rule, see = f"requires at least {_arguments(self.least)}", "See"
        elif self.least == self.most:
            rule = f"requires {_arguments(self.least)}"
        elif self.least == 0:
            rule = f"requires at most {_arguments(self.most)}"
        else:
            rule, see = f"requires at least {self.least} and at most {_arguments(self.most)}", "See"
        raise Exit(
            1,
            f"{program}: '{path}' {rule}\n\nUsage:  {self.usage_line(path)}"
            + f"\n\n{see} '{path} --help' for more information",
        )


def _arguments(count: int) -> str:
    return f"{count} argument" + ("s" if count != 1 else "")


class Session:
    """One invocation: the program's name, the global options, and the client, opened when first used."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.path = program  # the command as it was called: "scow container ls"
        self.host = ""
        self.context = ""
        self.config_dir = ""
        self.debug = False
        self.tls: dict[str, str] = {}
        self._client: Client | None = None
        self._config: Config | None = None
        self._config_read = False

    @property
    def config(self) -> Config | None:
        """config.json, None when there is none."""
        if not self._config_read:
            from scow.client.select import load_config

            self._config = load_config(self.config_dir)
            self._config_read = True
        return self._config

    @property
    def client(self) -> Client:
        """The Engine API client of the daemon that options, environment and context choose."""
        if self._client is None:
            from scow.client.select import connect

            self._client = connect(self.config, self.host, self.context, self.config_dir, self.tls)
        return self._client

    def execute(self, command: Command, path: str, args: Sequence[str]) -> int:
        """Parses the command's flags and runs it."""
        self.path = path
        try:
            flags, rest = flag_rules.parse(command.options, args, command.interspersed)
        except flag_rules.HelpWanted as wanted:
            from scow.cli.help import command_help

            if wanted.short:
                warn("Flag shorthand -h has been deprecated, use --help")
            put(command_help(command, path))
            return 0
        except flag_rules.FlagError as error:
            warn(f"{error}\n\nUsage:  {command.usage_line(path)}\n\nRun '{path} --help' for more information")
            return 125
        command.check_count(path, self.program, len(rest))
        return command.run(self, flags, rest)


def environment(name: str) -> str:
    """An environment variable's value, empty when it is not set (`os` is not imported)."""
    return posix.environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")

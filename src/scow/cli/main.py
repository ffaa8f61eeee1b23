"""Entry of the `scow` command: global options, choice of the command, last error handling."""

from __future__ import annotations

import _signal
import sys

from scow.cli.command import Command, Exit, Session
from scow.cli.output import put, warn
from scow.cli.registry import COMMANDS, GROUPS, UNSUPPORTED, UNSUPPORTED_IN_GROUP
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.flags import Flags, Option

GLOBAL_OPTIONS: tuple[Option, ...] = (
    ("config", "", "string", "", "Location of the client's config files"),
    ("context", "c", "string", "", "Name of the context to use (overrides DOCKER_HOST and the default context)"),
    ("debug", "D", "bool", "", "Enable debug mode"),
    ("host", "H", "list", "", "Daemon socket to connect to"),
    ("log-level", "l", "string", "info", "Set the logging level (debug, info, warn, error, fatal)"),
    ("tls", "", "bool", "", "Use TLS; implied by --tlsverify"),
    ("tlscacert", "", "string", "", "Trust only certificates signed by this CA"),
    ("tlscert", "", "string", "", "Path to the TLS certificate file"),
    ("tlskey", "", "string", "", "Path to the TLS key file"),
    ("tlsverify", "", "bool", "", "Use TLS and verify the server"),
    ("version", "v", "bool", "", "Print version information and quit"),
)


_LEVELS = ("panic", "fatal", "error", "warn", "warning", "info", "debug", "trace")


def main(argv: list[str]) -> int:
    """Runs one command line, `argv[0]` being the program; gives the exit code."""
    program = argv[0].rpartition("/")[2] if argv else ""
    session = Session("docker" if program == "docker" else "scow")
    try:
        return _dispatch(session, argv[1:])
    except Exit as leave:
        if leave.message:
            warn(leave.message)
        return leave.code
    except ScowError as error:
        warn(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if session.debug:
            raise
        warn(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1


def listen() -> None:
    """Hear SIGINT also where it was ignored, as in a script's background jobs: who sends it means it. Docker's client does so."""
    if _signal.getsignal(_signal.SIGINT) == _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def console() -> None:
    """Entry point of an installed package."""
    listen()
    sys.exit(main(sys.argv))


def _dispatch(session: Session, args: list[str]) -> int:
    if args and args[0] and args[0][0] == "-":
        stop, args = _global_options(session, args)
        if stop:
            return 0
    program = session.program
    if not args:
        from scow.cli.help import overview

        put(overview(session))
        return 0
    name, rest = args[0], args[1:]
    module = COMMANDS.get(name)
    if module == "daemon":  # its options are the daemon's to parse
        from scow.cli.daemon import become_daemon

        become_daemon(rest)
    if module is not None:
        return session.execute(load(module), f"{program} {name}", rest)
    if name == "__complete":
        from scow.cli.complete import complete

        return complete(session, rest)
    if name in GROUPS:
        return _group(session, name, rest)
    if name == "help":
        return _dispatch(session, [*rest, "--help"] if rest else [])
    if name in UNSUPPORTED:
        raise Exit(1, f"scow: '{name}' is not supported yet")
    from scow.cli.suggest import suggestion

    near = suggestion(name, (*COMMANDS, *GROUPS))
    raise Exit(1, f"{program}: unknown command: {program} {name}{near}\n\nRun '{program} --help' for more information")


def _group(session: Session, group: str, args: list[str]) -> int:
    path = f"{session.program} {group}"
    if not args or args[0] in ("--help", "-h", "help"):
        from scow.cli.help import group_help

        put(group_help(session.program, group))
        return 0
    name = args[0]
    module = GROUPS[group].get(name)
    if module is not None:
        return session.execute(load(module), f"{path} {name}", args[1:])
    if name in UNSUPPORTED_IN_GROUP.get(group, ()):
        raise Exit(1, f"scow: '{group} {name}' is not supported yet")
    if name[:1] == "-":
        letter = f"unknown shorthand flag: '{name[1:2]}' in {name}" if name[:2] != "--" else f"unknown flag: {name}"
        raise Exit(125, f"{letter}\n\nUsage:  {path} COMMAND\n\nRun '{path} --help' for more information")
    from scow.cli.suggest import suggestion

    raise Exit(
        1,
        f"{session.program}: unknown command: {path} {name}{suggestion(name, GROUPS[group])}\n\nUsage:  {path}\n\n"
        f"Run '{path} --help' for more information",
    )


def load(module: str) -> Command:
    """The command that a module of this package defines."""
    name = "scow.cli." + module
    __import__(name)
    command = sys.modules[name].COMMAND
    assert isinstance(command, Command)
    return command


def _global_options(session: Session, args: list[str]) -> tuple[bool, list[str]]:
    """Reads the options before the command. True: the answer has been given already."""
    from scow.cli import flags as rules

    program = session.program
    try:
        flags, rest = rules.parse(GLOBAL_OPTIONS, args, interspersed=False)
    except rules.HelpWanted as wanted:
        from scow.cli.help import overview

        if wanted.short:
            warn("Flag shorthand -h has been deprecated, use --help")
        put(overview(session))
        return True, []
    except rules.FlagError as error:
        raise Exit(
            125,
            f"{error}\n\nUsage:  {program} [OPTIONS] COMMAND [ARG...]\n\nRun '{program} --help' for more information",
        ) from None
    if flags.on("version"):
        from scow import __version__

        put(f"scow version {__version__}\n")
        return True, []
    if flags.text("log-level").lower() not in _LEVELS:
        raise Exit(1, f"Unable to parse logging level: {flags.text('log-level')}")
    take_global_options(session, flags)
    return False, rest


def take_global_options(session: Session, flags: Flags) -> None:
    """What stands before the command, into the session. Exit for what cannot be together."""
    hosts = flags.items("host")
    if len(hosts) > 1:
        raise Exit(1, "Failed to initialize: unable to resolve docker endpoint: Specify only one -H")
    if hosts and flags.changed("context"):
        raise Exit(
            1,
            "Failed to initialize: unable to resolve docker endpoint: conflicting options: "
            "cannot specify both --host and --context",
        )
    session.host = hosts[0] if hosts else ""
    session.context = flags.text("context")
    session.config_dir = flags.text("config")
    session.debug = flags.on("debug")
    for name in ("tlscacert", "tlscert", "tlskey"):
        if flags.changed(name):
            session.tls[name] = flags.text(name)
    for name in ("tls", "tlsverify"):
        if flags.changed(name):
            session.tls[name] = "true" if flags.on(name) else "false"

"""`scow exec`: a further process in a running container."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.client.api import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("detach", "d", "bool", "", "Run the command in the background"),
    ("detach-keys", "", "string", "", "Override the key sequence that detaches from the command"),
    ("env", "e", "list", "", "Set environment variables"),
    ("env-file", "", "list", "", "Read environment variables from a file"),
    ("interactive", "i", "bool", "", "Keep STDIN open even if not attached"),
    ("privileged", "", "bool", "", "Give extended privileges to the command"),
    ("tty", "t", "bool", "", "Allocate a pseudo-TTY"),
    ("user", "u", "string", "", "User name or UID, with group or GID behind a colon"),
    ("workdir", "w", "string", "", "Working directory inside the container"),
)


def _exec(session: Session, flags: Flags, args: list[str]) -> int:
    detach, tty = flags.on("detach"), flags.on("tty")
    stdin = flags.on("interactive") and not detach
    if stdin and tty:
        from scow.cli.terminal import is_terminal

        if not is_terminal(0):
            raise Exit(1, "the input device is not a TTY")
    keys = flags.text("detach-keys") or (session.config.text("detachKeys") if session.config else "")
    request = _request(flags, args, stdin, detach, keys)
    console = (0, 0)
    if tty:
        from scow.cli.terminal import size

        console = size(1)
    if console != (0, 0):
        request["ConsoleSize"] = [*console]
    client = session.client
    exchange = client.send("POST", f"/containers/{args[0]}/exec", (), request)
    if not detach:
        import scow.cli.streams  # noqa: F401 needed soon; the daemon is busy with the request

        client.warm(1)
    identity = exchange.answer().json()["Id"]
    start: dict[str, Any] = {"Detach": detach, "Tty": tty}
    if console != (0, 0):
        start["ConsoleSize"] = [*console]
    if detach:
        client.call("POST", f"/exec/{identity}/start", (), start).read()
        return 0
    return _attached(session, identity, start, stdin, keys)


def _request(flags: Flags, args: list[str], stdin: bool, detach: bool, keys: str) -> dict[str, Any]:
    environment: list[str] = []
    for path in flags.items("env-file"):
        from scow.cli.keyvalues import read_lines

        try:
            environment += read_lines(path, expand=True)
        except ValueError as error:
            raise Exit(1, str(error)) from None
    environment += flags.items("env")
    return {
        "User": flags.text("user"),
        "Privileged": flags.on("privileged"),
        "Tty": flags.on("tty"),
        "AttachStdin": stdin,
        "AttachStderr": not detach,
        "AttachStdout": not detach,
        "Detach": detach,
        "DetachKeys": keys,
        "Env": environment or None,
        "WorkingDir": flags.text("workdir"),
        "Cmd": args[1:],
    }


def _attached(session: Session, identity: str, start: dict[str, Any], stdin: bool, keys: str) -> int:
    from scow.cli.streams import Relay, parse_detach_keys

    client, tty = session.client, bool(start["Tty"])
    connection = client.send("POST", f"/exec/{identity}/start", (), start, upgrade=True).answer().hijack()
    if tty and stdin:
        from scow.cli import signals
        from scow.cli.terminal import is_terminal

        if is_terminal(1):
            signals.follow_size(client, f"/exec/{identity}/resize")
    if Relay(connection, tty, stdin, parse_detach_keys(keys)).run():
        raise Exit(1, "read escape sequence")
    try:
        return int(client.get(f"/exec/{identity}/json").get("ExitCode") or 0)
    except ApiError as error:
        raise Exit(1, str(error)) from error


COMMAND = Command(
    _exec,
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    "container exec, exec",
    _OPTIONS,
    2,
    UNLIMITED,
    interspersed=False,
)

"""`scow start`: starts containers, or one of them attached."""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.output import line, warn
from scow.client.api import ApiError
from scow.client.http1 import quote
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("attach", "a", "bool", "", "Attach STDOUT and STDERR, and forward signals"),
    ("detach-keys", "", "string", "", "Override the key sequence that detaches from the container"),
    ("interactive", "i", "bool", "", "Attach the container's STDIN"),
)


def _start(session: Session, flags: Flags, args: list[str]) -> int:
    if flags.on("attach") or flags.on("interactive"):
        if len(args) > 1:
            raise Exit(1, "you cannot start and attach multiple containers at once")
        return _attached(session, flags, args[0])
    keys = flags.text("detach-keys")
    params = [("detachKeys", keys)] if keys else []
    failed = []
    for name in args:
        try:
            session.client.call("POST", f"/containers/{quote(name)}/start", params).read()
            line(name)
        except ScowError as error:
            warn(str(error))
            failed.append(name)
    if failed:
        raise Exit(1, "Error: failed to start containers: " + ", ".join(failed))
    return 0


def _attached(session: Session, flags: Flags, name: str) -> int:
    from scow.cli import signals
    from scow.cli.run import attach_params, exit_status
    from scow.cli.streams import Relay, parse_detach_keys

    client = session.client
    container = client.get(f"/containers/{quote(name)}/json")
    identity, config = container["Id"], container["Config"]
    tty = bool(config["Tty"])
    stdin = flags.on("interactive") and bool(config["OpenStdin"])
    if not tty:
        signals.forward(client, identity)
    keys = flags.text("detach-keys") or (session.config.text("detachKeys") if session.config else "")
    request = {"AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True}
    attach = client.send("POST", f"/containers/{identity}/attach", attach_params(request, keys), upgrade=True)
    removed = bool(container["HostConfig"]["AutoRemove"])
    condition = "removed" if removed else "next-exit"
    wait = client.send("POST", f"/containers/{identity}/wait", [("condition", condition)])
    connection = attach.answer().hijack()
    waiting = wait.answer()
    try:
        client.call("POST", f"/containers/{identity}/start").read()
    except ApiError as error:
        connection.close()
        if removed:
            waiting.read()
        raise Exit(1, str(error)) from None
    if tty:
        from scow.cli.terminal import is_terminal

        if is_terminal(1):
            signals.follow_size(client, f"/containers/{identity}/resize")
    if Relay(connection, tty, stdin, parse_detach_keys(keys)).run():
        return 0
    return exit_status(waiting.json())


COMMAND = Command(
    _start,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    "container start, start",
    _OPTIONS,
    1,
    UNLIMITED,
)

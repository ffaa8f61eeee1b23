"""`scow run`: create, attach, start, relay, exit status.

On the wire: create on one connection; while the daemon works on it the rest of the client is imported and two more
connections are opened. Then attach and wait go out together, and start as soon as both are registered.
"""

from __future__ import annotations

from scow.cli.command import UNLIMITED, Command, Exit
from scow.cli.container_options import OPTIONS
from scow.cli.creating import build, create, failure
from scow.cli.output import line, warn
from scow.client.api import ApiError
from scow.errors import ScowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags
    from scow.client.api import Connection, Exchange

_OPTIONS = (
    *OPTIONS,
    ("detach", "d", "bool", "", "Run the container in the background and print its ID"),
    ("detach-keys", "", "string", "", "Override the key sequence that detaches from the container"),
    ("sig-proxy", "", "bool", "true", "Pass received signals on to the process"),
)


def _run(session: Session, flags: Flags, args: list[str]) -> int:
    detach = flags.on("detach")
    if detach and flags.changed("attach"):
        raise Exit(1, "conflicting options: cannot specify both --attach and --detach")
    console = (0, 0)
    if flags.on("tty"):
        from scow.cli.terminal import size

        console = size(1)
    request = build(session, flags, args, console)
    if detach:
        request |= {"AttachStdin": False, "AttachStdout": False, "AttachStderr": False, "StdinOnce": False}
    elif request["Tty"] and request["AttachStdin"]:
        from scow.cli.terminal import is_terminal

        if not is_terminal(0):
            raise Exit(1, "the input device is not a TTY")
    attached = any(request[key] for key in ("AttachStdin", "AttachStdout", "AttachStderr"))
    try:
        identity = create(session, flags, request, _prepare(session, attached))
        if attached:
            return _attached(session, flags, request, identity)
        session.client.call("POST", f"/containers/{identity}/start").read()
    except ScowError as error:
        raise failure(session, str(error), _exit_code(str(error))) from error
    line(identity)
    return 0


def _prepare(session: Session, attached: bool) -> Any:
    def prepare() -> None:
        if attached:
            import scow.cli.signals
            import scow.cli.streams  # noqa: F401 both are needed soon; the daemon is busy with the request

            session.client.warm(2)

    return prepare


def _exit_code(sentence: str) -> int:
    if any(text in sentence for text in ("executable file not found", "no such file or directory")):
        return 127
    if "permission denied" in sentence or "is a directory" in sentence:
        return 126
    return 125


def _attached(session: Session, flags: Flags, request: dict[str, Any], identity: str) -> int:
    from scow.cli import signals
    from scow.cli.streams import Relay, parse_detach_keys

    client, tty = session.client, bool(request["Tty"])
    if flags.on("sig-proxy") and not tty:
        signals.forward(client, identity)
    if not request["AttachStdout"] and not request["AttachStderr"]:
        line(identity)
    keys = flags.text("detach-keys") or (session.config.text("detachKeys") if session.config else "")
    attach = client.send("POST", f"/containers/{identity}/attach", attach_params(request, keys), upgrade=True)
    condition = "removed" if flags.on("rm") else "next-exit"
    wait = client.send("POST", f"/containers/{identity}/wait", [("condition", condition)])
    connection = attach.answer().hijack()
    waiting = wait.answer()
    _start(client.send("POST", f"/containers/{identity}/start"), connection, waiting, flags.on("rm"))
    if tty:
        from scow.cli.terminal import is_terminal

        if is_terminal(1):
            signals.follow_size(client, f"/containers/{identity}/resize")
    if Relay(connection, tty, request["AttachStdin"], parse_detach_keys(keys)).run():
        return 0
    return exit_status(waiting.json())


def attach_params(request: dict[str, Any], keys: str) -> list[tuple[str, str]]:
    """The query of an attach request."""
    params = [("stream", "1")]
    for name, key in (("stdin", "AttachStdin"), ("stdout", "AttachStdout"), ("stderr", "AttachStderr")):
        if request[key]:
            params.append((name, "1"))
    if keys:
        params.append(("detachKeys", keys))
    return params


def _start(start: Exchange, connection: Connection, waiting: Any, removed: bool) -> None:
    """Waits for the start. When it fails, an automatic removal is waited for before the error goes on."""
    try:
        start.answer().read()
    except ApiError:
        connection.close()
        if removed:
            waiting.read()
        raise


def exit_status(answer: Any) -> int:
    """The exit code of a wait's answer."""
    error = (answer or {}).get("Error")
    if error and error.get("Message"):
        warn(f"Error waiting for container: {error['Message']}")
        return 125
    return int((answer or {}).get("StatusCode", 125))


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    "container run, run",
    _OPTIONS,
    1,
    UNLIMITED,
    interspersed=False,
)

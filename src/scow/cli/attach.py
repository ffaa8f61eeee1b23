"""`scow attach`: our streams to a running container's."""

from __future__ import annotations

from scow.cli import signals
from scow.cli.command import Command, Exit
from scow.cli.run import attach_params, exit_status
from scow.cli.streams import Relay, parse_detach_keys
from scow.cli.terminal import is_terminal
from scow.client.http1 import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scow.cli.command import Session
    from scow.cli.flags import Flags, Option

_OPTIONS: tuple[Option, ...] = (
    ("detach-keys", "", "string", "", "Override the key sequence that detaches from the container"),
    ("no-stdin", "", "bool", "", "Do not attach STDIN"),
    ("sig-proxy", "", "bool", "true", "Pass all received signals on to the process"),
)


def _attach(session: Session, flags: Flags, args: list[str]) -> int:
    client, name = session.client, quote(args[0])
    container = client.get(f"/containers/{name}/json")
    _check_state(container["State"])
    identity, config = container["Id"], container["Config"]
    tty = bool(config["Tty"])
    if tty and not flags.on("no-stdin") and not is_terminal(0):
        raise Exit(1, "the input device is not a TTY")
    waiting = client.call("POST", f"/containers/{identity}/wait")
    stdin = not flags.on("no-stdin") and bool(config["OpenStdin"])
    keys = flags.text("detach-keys") or (session.config.text("detachKeys") if session.config else "")
    if flags.on("sig-proxy") and not tty:
        signals.forward(client, identity)
    request = {"AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True}
    attach = client.send("POST", f"/containers/{identity}/attach", attach_params(request, keys), upgrade=True)
    connection = attach.answer().hijack()
    if tty and is_terminal(1):
        signals.redraw(client, f"/containers/{identity}/resize")
        signals.follow_size(client, f"/containers/{identity}/resize")
    if Relay(connection, tty, stdin, parse_detach_keys(keys)).run():
        raise Exit(1, "read escape sequence")
    return exit_status(waiting.json())


def _check_state(state: dict[str, Any]) -> None:
    if not state["Running"]:
        raise Exit(1, "You cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise Exit(1, "You cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise Exit(1, "You cannot attach to a restarting container, wait until it is running")


COMMAND = Command(
    _attach,
    "[OPTIONS] CONTAINER",
    "Attach our standard streams to a running container",
    "container attach, attach",
    _OPTIONS,
    1,
    1,
)
